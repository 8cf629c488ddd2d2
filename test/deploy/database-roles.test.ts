import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { connect } from "../../src/client/client.ts";
import { worker } from "../../src/client/worker/worker.ts";
import { openDatabase } from "../../src/store/database.ts";
import { runSpool } from "../cli/spool-process.ts";
import { kindOf, untilStopped } from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/postgres.ts";
import type { PostgresServer } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";

const ROOT = join(import.meta.dirname, "../..");
const ROLES_SQL = readFileSync(join(ROOT, "deploy/postgres/roles.sql"), "utf8");
const COUNTING = ["--kinds", join(ROOT, "test/support/stored-kinds.ts")];
const REFUSED = { code: "42501" };
const TIMEOUT_MS = 120_000;
const NEVER = new AbortController().signal;

describe("deploy/postgres/roles.sql", function () {
  this.timeout(TIMEOUT_MS);
  /** A server of its own: roles belong to a whole database server. */
  let postgres: PostgresServer;
  before(async () => {
    postgres = await startServer();
    await query(urlOf("postgres", "postgres"), "create database spool");
    await query(urlOf("postgres"), ROLES_SQL);
    const migrated = await runSpool(["migrate", "--database-url", urlOf("spool_owner"), ...COUNTING]);
    assert.equal(migrated.code, 0, migrated.stderr);
    await query(urlOf("postgres"), ROLES_SQL);
  });
  after(() => postgres[Symbol.asyncDispose]());

  function urlOf(role: string, database = "spool"): string {
    const url = new URL(postgres.url);
    url.username = role;
    url.pathname = database;
    return url.href;
  }

  async function allows(role: string, statement: string): Promise<void> {
    await query(urlOf(role), `begin; ${statement}; rollback`);
  }

  async function refuses(role: string, statement: string): Promise<void> {
    await assert.rejects(query(urlOf(role), `begin; ${statement}; rollback`), REFUSED, `${role}: ${statement}`);
  }

  it("lets a server with SPOOL_MIGRATE=off start, follow, cancel, delete, export, import and check", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-roles-"));
    const environment = {
      SPOOL_DATABASE_URL: urlOf("spool_server"),
      SPOOL_MIGRATE: "off",
      SPOOL_SOURCES_DIR: folder.path,
      SPOOL_LOG_FORMAT: "json",
    };
    await using server = await startServerProcess({ environment, args: COUNTING });
    let logged = "";
    server.child.stderr!.on("data", (chunk: Buffer) => (logged += chunk.toString()));
    using client = connect({ address: server.address, retryMs: 0 });
    const started = await client.start({
      kind: "echo",
      params: { count: 3 },
      requestId: "once",
      labels: { team: "a" },
    });
    const { taskId } = started.task;
    assert.equal((await Array.fromAsync(client.follow({ taskId }))).at(-1)!.type, "final");
    assert.ok((await client.start({ kind: "count" })).task);

    const kind = kindOf("at-a-worker", ({ signal }) => untilStopped(signal));
    const options = { drainMs: 0, graceMs: 0, signals: false };
    await using _ = worker({ address: server.address, kinds: [kind], ...options });
    const { task: lasting } = await client.start({ kind: "at-a-worker" });
    await eventually(async () => assert.equal((await client.get({ taskId: lasting.taskId })).status, "running"));
    await client.cancel({ taskId: lasting.taskId });
    const final = await client.waitFinal({ taskId: lasting.taskId, timeoutMs: 30_000 });
    assert.equal(final.status, "cancelled");

    const file = join(folder.path, "tasks.jsonl");
    const address = ["--address", server.address];
    const exported = await runSpool(["export", "--kind", "echo", "--output", file, ...address]);
    assert.equal(exported.code, 0, exported.stderr);
    await client.delete({ taskId });
    await assert.rejects(client.get({ taskId }), { reason: "TASK_EXPIRED" });
    const imported = await runSpool(["import", file, "--database-url", environment.SPOOL_DATABASE_URL]);
    assert.equal(imported.code, 0, imported.stderr);
    assert.equal((await client.get({ taskId })).status, "succeeded");

    const checked = await runSpool(["doctor", "--json", "--database-url", environment.SPOOL_DATABASE_URL]);
    assert.doesNotMatch(checked.stdout + checked.stderr, /"status":"fail"|permission denied/);
    assert.equal(await server.end("SIGTERM"), 0);
    assert.doesNotMatch(logged, /permission denied/);
  });

  it("lets an engine hold exclusive keys, pack tapes, remove tasks by their retention, and run removal hooks", async () => {
    const store = await openDatabase({ url: urlOf("spool_server") });
    const removed: string[] = [];
    const packed = kindOf("packed", emitMany, { exclusiveKey: () => "one" });
    const hooked = {
      ...kindOf("hooked", async () => {}),
      onRemoved: async (task: { taskId: string }) => void removed.push(task.taskId),
    };
    await using engine = await startEngine(store, { kinds: [packed, hooked], packAfter: 0 });
    const first = await engine.startTask(taskRequest({ kind: "packed" }));
    const second = await engine.startTask(taskRequest({ kind: "packed" }));
    const due = await engine.startTask(taskRequest({ kind: "hooked", retentionMs: 1_000 }));
    for (const { task } of [first, second]) {
      const { status } = await engine.waitForResult({ taskId: task.taskId, waitMs: 20_000 }, NEVER);
      assert.equal(status, "succeeded");
    }
    await eventually(
      async () => {
        const counted = "select count(*)::int as packs from packed_events where task_id = any($1::uuid[])";
        const [row] = await query(urlOf("spool_reader"), counted, [[first.task.taskId, second.task.taskId]]);
        assert.equal(row!["packs"], 2);
      },
      { timeoutMs: 30_000 },
    );
    const page = await engine.readEvents({ taskId: first.task.taskId, fromSeq: 1n, limit: 100, waitMs: 0 }, NEVER);
    assert.equal(page.events.length, 62);
    await eventually(() => assert.deepEqual(removed, [due.task.taskId]));
    await engine[Symbol.asyncDispose]();
    await store.close();
  });

  it("lets a server write tokens, namespaces, keys and the audit log, but change no right of a token", async () => {
    const digest = `'\\x${randomBytes(32).toString("hex")}'`;
    const insert = `insert into tokens (token_id, digest, name, grants, created_by) values (gen_random_uuid(), ${digest}, 'a', '{}', 'b')`;
    await allows(
      "spool_server",
      `${insert}; update tokens set revoked_at = now(), revoked_by = 'b', changed_at = now()`,
    );
    await refuses("spool_server", `${insert}; update tokens set grants = '{"scopes": ["admin"]}'`);
    await refuses("spool_server", "delete from tokens");
    const upsert = `insert into namespaces (name, created_by) values ('a', 'b')
      on conflict (name) do update set limits = excluded.limits, changed_at = now()`;
    await allows("spool_server", `${upsert}; ${upsert}`);
    await allows("spool_server", "insert into signing_keys (key_id, secret) values (gen_random_uuid(), 'x')");
    const act = "insert into audit_events (actor, action, target) values ('a', 'token.create', 'b')";
    await allows("spool_server", `${act} returning audit_id`);
    await refuses("spool_server", `${act}; update audit_events set actor = 'c'`);
  });

  it("refuses every change of the schema to a server", async () => {
    for (const statement of [
      "create table mine (id int)",
      "create temporary table mine (id int)",
      "create schema mine",
      "alter table tasks add column mine int",
      "drop table tasks",
      "truncate tasks",
      "create index mine on tasks (kind)",
      "insert into spool_migrations values ('9999-later', '')",
      "delete from spool_schema_compatibility",
      "update task_events set body = '{}'",
      "create role mine",
    ]) {
      await refuses("spool_server", statement);
    }
  });

  it("lets a reader read tasks and tapes, but no secret, and write nothing", async () => {
    for (const statement of [
      "select count(*) from tasks join tape_events using (task_id)",
      "select session_id, host, stalled from sessions",
      "select token_id, name, grants, revoked_at from tokens",
      "select * from audit_events",
    ]) {
      await allows("spool_reader", statement);
    }
    for (const statement of [
      "select digest from tokens",
      "select * from tokens",
      "select token_digest from sessions",
      "select secret from signing_keys",
      "select * from counts",
      "insert into tasks select * from tasks limit 0",
      "update tasks set status = status",
      "delete from removed_tasks",
      "create table mine (id int)",
      "create temporary table mine (id int)",
    ]) {
      await refuses("spool_reader", statement);
    }
  });

  it("names every table of the schema, and gives the owner nothing beyond its database", async () => {
    const tables = await query(
      urlOf("spool_owner"),
      "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')",
    );
    const unnamed = tables
      .map((table) => table["relname"] as string)
      .filter((name) => !ROLES_SQL.includes(`('${name}',`));
    assert.deepEqual(unnamed, ["counts"]);
    await refuses("spool_owner", "create role mine");
    await assert.rejects(query(urlOf("spool_owner"), "create database mine"), REFUSED);
  });

  it("serves the tables of a later step before the script runs again, and hides them from the reader", async () => {
    await query(urlOf("spool_owner"), "create table later (id serial, secret text)");
    await allows("spool_server", "insert into later (secret) values ('a') returning id");
    await refuses("spool_reader", "select * from later");
    await query(urlOf("postgres"), ROLES_SQL);
    await refuses("spool_reader", "select * from later");
    await query(urlOf("spool_owner"), "drop table later");
  });

  it("can be run by an owner of the database that is no superuser", async () => {
    await using other = await startServer();
    const url = (role: string) => other.url.replace("postgres@", `${role}@`);
    await query(other.url, "create role administrator login createrole");
    await query(other.url, "create database spool owner administrator");
    const spoolUrl = (role: string) => url(role).replace(/postgres$/, "spool");
    await query(spoolUrl("administrator"), ROLES_SQL);
    assert.equal((await runSpool(["migrate", "--database-url", spoolUrl("spool_owner")])).code, 0);
    await query(spoolUrl("administrator"), ROLES_SQL);
    await query(spoolUrl("spool_server"), "select from tasks");
    await assert.rejects(query(spoolUrl("spool_reader"), "select digest from tokens"), REFUSED);
  });
});

async function emitMany(task: { progress(phase: string, current: number, total: number): Promise<void> }) {
  for (let step = 1; step <= 60; step++) await task.progress("step", step, 60);
}

/** Runs statements, and returns the rows of a single one. */
async function query(url: string, text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text, values);
    return rows;
  } finally {
    await client.end();
  }
}
