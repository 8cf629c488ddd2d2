import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import type { PostgresServer } from "../../support/postgres.ts";

/** The role that the servers have: an ordinary one, that owns its databases and has a password. */
export const ROLE = "spool_app";
const PASSWORD = "as it was";

const TERMINATE_EVERY_MS = 100;
const VOLUME_MIB_DEFAULT = 96;

/** A database in a cluster of its own, and who can do anything to it. */
export interface Scene {
  server: PostgresServer;
  /** Runs a statement as a superuser, in the cluster's first database. */
  operate: (sql: string) => Promise<void>;
  /** The same, within the database of the service. */
  operateInside: (sql: string) => Promise<void>;
  /** The database of the service. */
  name: string;
  /** The folder of its tablespace: a small volume of its own; null where this process may mount none. */
  volume: string | null;
}

/** A trouble that a database has for a while. */
export interface Trouble {
  name: string;
  /** Of the connections of the servers. */
  options?: string;
  /** Whether the tables are to be on the small volume. */
  onVolume?: boolean;
  /** Brings it about, and says how to end it. */
  begin: (scene: Scene) => Promise<() => Promise<void> | void>;
}

const terminateAll = ({ operate, name }: Scene) =>
  operate(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and usename = '${ROLE}'`);

/** Holds a lock on the tapes, as somebody's maintenance does. */
async function lockTapes({ server, name }: Scene): Promise<() => Promise<void>> {
  const client = new pg.Client(urlOf(server, name));
  client.on("error", () => {}); // Where the scenario ends before the trouble does.
  await client.connect();
  await client.query("begin");
  await client.query("lock table task_events in share mode");
  return async () => {
    await client.query("commit");
    await client.end();
  };
}

export const TROUBLES: readonly Trouble[] = [
  { name: "lock timeout", options: "-c lock_timeout=300", begin: lockTapes },
  { name: "statement timeout", options: "-c statement_timeout=1000", begin: lockTapes },
  {
    name: "full disk",
    onVolume: true,
    begin: ({ volume }) => {
      const ballast = join(volume!, "ballast");
      writeFileSync(ballast, "");
      for (let size = 1024 * 1024; size >= 512; size /= 2) fill(ballast, Buffer.alloc(size));
      return Promise.resolve(() => rmSync(ballast));
    },
  },
  {
    name: "changed password",
    async begin(scene) {
      await scene.operate(`alter role ${ROLE} password 'another'`);
      await terminateAll(scene);
      return () => scene.operate(`alter role ${ROLE} password '${PASSWORD}'`);
    },
  },
  {
    name: "allow_connections false",
    async begin(scene) {
      await scene.operate(`alter database ${scene.name} allow_connections false`);
      await terminateAll(scene);
      return () => scene.operate(`alter database ${scene.name} allow_connections true`);
    },
  },
  {
    name: "read-only window",
    async begin(scene) {
      await scene.operate(`alter database ${scene.name} set default_transaction_read_only = on`);
      await terminateAll(scene);
      return () => scene.operate(`alter database ${scene.name} reset default_transaction_read_only`);
    },
  },
  {
    name: "revoked privilege",
    async begin({ operateInside }) {
      await operateInside(`revoke insert on task_events from ${ROLE}`);
      return () => operateInside(`grant insert on task_events to ${ROLE}`);
    },
  },
  {
    name: "pg_terminate_backend storm",
    async begin(scene) {
      const over = new AbortController();
      const storm = async () => {
        while (!over.signal.aborted) {
          await terminateAll(scene);
          await setTimeout(TERMINATE_EVERY_MS);
        }
      };
      const raging = storm();
      await Promise.resolve();
      return async () => {
        over.abort();
        await raging;
      };
    },
  },
  {
    name: "immediate restart",
    async begin({ server }) {
      await server.stopAtOnce();
      return () => server.start();
    },
  },
  {
    name: "kill -9 of Postgres",
    async begin({ server }) {
      await server.kill();
      return () => server.start();
    },
  },
];

/** Appends until the volume takes no more. */
function fill(file: string, chunk: Buffer): void {
  try {
    for (;;) appendFileSync(file, chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

/** Runs a statement on a connection of its own. */
export async function runStatement(url: string, sql: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export function urlOf(server: PostgresServer, database: string, role?: string): string {
  const url = new URL(server.url);
  url.pathname = database;
  if (role !== undefined) {
    url.username = role;
    url.password = PASSWORD;
  }
  return url.href;
}

/** Makes the role, and has its password asked for. */
export async function admitRole(server: PostgresServer): Promise<void> {
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query(`create role ${ROLE} login password '${PASSWORD}'`);
  const { rows } = await client.query<{ hba_file: string }>("show hba_file");
  const file = rows[0]!.hba_file;
  writeFileSync(file, `host all ${ROLE} 127.0.0.1/32 scram-sha-256\n${readFileSync(file, "utf8")}`);
  await client.query("select pg_reload_conf()");
  await client.end();
}

/** A small volume in memory, for the user that Postgres runs as; null where this process may mount none. */
export function mountVolume(sizeMib = VOLUME_MIB_DEFAULT): { folder: string; unmount: () => void } | null {
  const folder = mkdtempSync(join(tmpdir(), "spool-volume-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=0700,uid=65534,gid=65534`, "tmpfs", folder], {
      stdio: "ignore",
    });
  } catch {
    rmdirSync(folder);
    return null;
  }
  return {
    folder,
    unmount() {
      execFileSync("umount", ["-l", folder]);
      rmdirSync(folder);
    },
  };
}
