import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";

/** It refuses to run as root; this is `nobody`. */
const UNPRIVILEGED = { uid: 65_534, gid: 65_534 };

/** One before a database, as docs/operating.md wants it but for its mode. Disposing ends it. */
export interface Pgbouncer extends AsyncDisposable {
  /** The way to the database through it. */
  readonly url: string;
}

export async function startPgbouncer(databaseUrl: string, mode: "session" | "transaction"): Promise<Pgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), "spool-pgbouncer-"));
  const { hostname, port, username, pathname } = new URL(databaseUrl);
  const listenPort = await freePort();
  const file = join(folder, "pgbouncer.ini");
  const settings = [
    "[databases]",
    `* = host=${hostname} port=${port} user=${username}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${listenPort}`,
    "unix_socket_dir =",
    "auth_type = any",
    `pool_mode = ${mode}`,
    "ignore_startup_parameters = idle_in_transaction_session_timeout",
  ];
  await writeFile(file, settings.join("\n"));
  await chmod(folder, 0o755);
  const user = process.getuid?.() === 0 ? UNPRIVILEGED : {};
  const child = spawn("pgbouncer", ["--quiet", file], { ...user, stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(child, "exit");
  const url = `postgres://${username}@127.0.0.1:${listenPort}${pathname}`;
  await eventually(async () => {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
    } finally {
      await client.end();
    }
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
