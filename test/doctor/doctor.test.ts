import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import pg from "pg";
import { openConnection } from "../../src/client/transport/connection.ts";
import { CHECK_NAMES } from "../../src/doctor/check.ts";
import type { CheckName } from "../../src/doctor/check.ts";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { examine } from "../../src/doctor/doctor.ts";
import type { DoctorReport } from "../../src/doctor/doctor.ts";
import { openSession } from "../../src/store/session-queries.ts";
import { startEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { newSession } from "../support/new-sessions.ts";
import { createRunning, createTask } from "../support/new-tasks.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
import { openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const TIMEOUT_MS = 20_000;
/** Of the whole test: some looks are taken twice, seconds apart. */
const TEST_MS = 60_000;

describe("spool doctor's checks", function () {
  this.timeout(TEST_MS);
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store.db;

  async function look(flags: Record<string, string> = {}, timeoutMs = TIMEOUT_MS): Promise<DoctorReport> {
    const address = "127.0.0.1:1";
    const transport = openConnection({ address });
    try {
      const door = { address, isNamed: false, transport };
      return await examine({
        settings: readConfiguration({ flags: { databaseUrl: store.url!, namespace, ...flags } }),
        door,
        timeoutMs,
      });
    } finally {
      transport.close();
    }
  }

  /** A process that serves a kind, and does nothing. */
  async function pretendServer({
    kinds = ["idle"],
    capacity = 4,
    leaseMs = 60_000,
    tokenDigest = null as string | null,
  } = {}) {
    const offers = kinds.map((name) => ({ name, retry: {}, isExclusive: false }));
    const session = newSession({ namespace, kinds: offers, capacity, leaseMs, tokenDigest });
    await openSession(db(), session);
    return session.sessionId;
  }

  const back = (taskId: string, seconds: number) =>
    sql`update tasks set created_at = now() - ${seconds}::int * interval '1 second' where task_id = ${taskId}`.execute(
      db(),
    );

  it("are all ok, each one, where a service is well", async () => {
    await using _ = await startEngine(store, { namespace });
    // On a busy machine something may be slow at one time, and not at the next.
    const report = await eventually(
      async () => {
        const looked = await look();
        const others = looked.checks.filter(({ status }) => status !== "ok").map(({ name, status }) => [name, status]);
        assert.deepEqual(others, [["server", "skipped"]]);
        return looked;
      },
      { timeoutMs: 30_000 },
    );
    assert.deepEqual(
      report.checks.map(({ name }) => name),
      CHECK_NAMES,
    );
    assert.equal(report.status, "ok");
    assert.match(found(report, "sessions"), /^1 server and 0 workers alive, 0 of 64 slots taken$/);
    assert.doesNotMatch(found(report, "database"), /postgres@/);
  });

  it("find that the database is down, and skip what needs it", async () => {
    const report = await look({ databaseUrl: "postgres://me:secret@127.0.0.1:1/none" });
    assert.equal(report.status, "fail");
    assert.match(found(report, "database"), /ECONNREFUSED/);
    assert.deepEqual(statuses(report, "fail"), ["database"]);
    assert.deepEqual(statuses(report, "skipped").length, CHECK_NAMES.length - 1);
    assert.match(found(report, "sweeper"), /the database was not reached/);
    assert.doesNotMatch(JSON.stringify(report), /secret/);
  });

  it("end in time where the database says nothing", async () => {
    const url = new URL(store.url!);
    await using proxy = await startTcpProxy(() => new URL(store.url!).host);
    proxy.silenceNext();
    url.host = proxy.address;
    const report = await look({ databaseUrl: url.href }, 1_000);
    assert.match(found(report, "database"), /not known within 1 s/);
  });

  it("find a schema that was never made, is too old, or too new", async () => {
    await using empty = await createDatabase();
    const never = await look({ databaseUrl: empty.url });
    assert.match(found(never, "schema"), /at schema none, older/);
    assert.match(found(never, "sweeper"), /the schema is not this program's/);
    assert.deepEqual(statuses(never, "fail"), ["schema"]);

    await using other = await openPostgres();
    const last = await sql<{ name: string }>`select max(name) as name from spool_migrations`.execute(other.db);
    await sql`delete from spool_migrations where name = ${last.rows[0]!.name}`.execute(other.db);
    assert.match(found(await look({ databaseUrl: other.url! }), "schema"), /older than this program's/);
    await sql`insert into spool_migrations (name, timestamp) values ('9999-later', '2031-01-01')`.execute(other.db);
    const newer = await look({ databaseUrl: other.url! });
    assert.match(found(newer, "schema"), /9999-later, newer than/);
    assert.deepEqual(statuses(newer, "fail"), ["schema"]);
  });

  it("find settings of the database that break a promise", async () => {
    await using database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    const set = async (setting: string) => {
      await using client = await connected(database.url);
      await client.query(`alter database ${name} set ${setting}`);
    };
    await set("default_transaction_read_only = on");
    assert.match(found(await look({ databaseUrl: database.url }), "postgres"), /takes no writes/);
  });

  it("find connections that run out", async () => {
    await using server = await startServer();
    const clients = await Promise.all(Array.from({ length: 180 }, () => connected(server.url)));
    const report = await look({ databaseUrl: server.url });
    await Promise.all(clients.map((client) => client.end()));
    assert.ok(statuses(report, "warn").includes("connections"), found(report, "connections"));
    const after = await look({ databaseUrl: server.url });
    assert.ok(statuses(after, "ok").includes("connections"), found(after, "connections"));
  });

  it("find that no server is alive, whatever workers are", async () => {
    assert.match(found(await look(), "sessions"), /no server is alive/);
    await pretendServer({ tokenDigest: "00" });
    const report = await look();
    assert.match(found(report, "sessions"), /no server is alive; 0 servers and 1 worker/);
    assert.deepEqual(statuses(report, "fail"), ["sessions"]);
  });

  it("find a session that died, with its tasks and without", async () => {
    const dead = await pretendServer();
    await createRunning(db(), { namespace, lease: dead });
    const empty = await pretendServer();
    await sql`update sessions set expires_at = now() - interval '20 s', seen_at = now() - interval '30 s'
      where session_id in (${dead}, ${empty})`.execute(db());
    const report = await look();
    assert.match(
      found(report, "sweeper"),
      /1 task whose session is gone by up to 2\d s; 1 session run out 2\d s ago and not removed/,
    );
    assert.ok(statuses(report, "fail").includes("sweeper"));
    await sql`delete from sessions where namespace = ${namespace}`.execute(db());
    assert.match(found(await look(), "sweeper"), /^not swept: 1 task whose session is gone$/);
    // A server comes, and sweeps.
    await using _ = await startEngine(store, { namespace });
    const swept = await look();
    assert.ok(statuses(swept, "ok").includes("sweeper"), found(swept, "sweeper"));
  });

  it("find tasks past a cancel, their attempt's deadline, and their own", async () => {
    await pretendServer();
    const lease = await pretendServer();
    const [cancelled, late] = [
      await createRunning(db(), { namespace, lease }),
      await createRunning(db(), { namespace, lease }),
    ];
    const expired = await createTask(db(), { namespace, deadlineAt: new Date(Date.now() + 60_000) });
    await sql`update tasks set cancel_requested_at = now() - interval '10 s' where task_id = ${cancelled.taskId}`.execute(
      db(),
    );
    await sql`update tasks set attempt_deadline_at = now() - interval '11 s' where task_id = ${late.taskId}`.execute(
      db(),
    );
    await sql`update tasks set deadline_at = now() - interval '3 s' where task_id = ${expired.taskId}`.execute(db());
    // With a grace of 5 s and 2 s for the owner; and with one that has not passed.
    const report = await look();
    const overdue = ["past a cancel", "past the deadline of their attempt", "waiting past their deadline"];
    const each = overdue.map((what) => `1 task ${what} by up to [\\d.]+ s`);
    assert.match(found(report, "sweeper"), new RegExp(`^not swept: ${each.join("; ")}$`));
    assert.ok(!statuses(report, "ok").includes("sweeper"));
    const patient = await look({ cancelGraceMs: "60000" });
    assert.match(found(patient, "sweeper"), new RegExp(`^not swept: ${each[2]}$`));
  });

  it("find a kind that nobody has, once it was waited for longer than a lease", async () => {
    await pretendServer({ capacity: 0 });
    const { taskId } = await createTask(db(), { namespace, kind: "absent" });
    const unchecked = await createTask(db(), { namespace, kind: "unheard", isUnchecked: true });
    assert.ok(statuses(await look(), "ok").includes("kinds"));
    await back(taskId, 11);
    await back(unchecked.taskId, 12);
    const report = await look();
    assert.match(
      found(report, "kinds"),
      /nobody has (absent|unheard) \(1 task\), (absent|unheard) \(1 task\), due for up to \d\d s/,
    );
    assert.equal(report.status, "warn");
  });

  it("find a task that waits while a slot is free, and no other", async () => {
    await pretendServer({ kinds: ["idle"], capacity: 1 });
    const { taskId } = await createTask(db(), { namespace, kind: "idle" });
    await createTask(db(), { namespace, kind: "idle" }); // There is one slot.
    await createTask(db(), { namespace, kind: "idle", runAt: new Date(Date.now() + 3_600_000) });
    await back(taskId, 70);
    const report = await look();
    assert.match(
      found(report, "waiting"),
      new RegExp(`^1 task of idle due for 1(\\.\\d)? min while slots are free: ${taskId}$`),
    );
    assert.ok(statuses(report, "fail").includes("waiting"));
  });

  it("find a task that those who have its kind do not look over", async () => {
    const session = await pretendServer();
    const { taskId } = await createTask(db(), { namespace, kind: "idle", isUnchecked: true });
    await back(taskId, 20);
    assert.ok(statuses(await look(), "ok").includes("unchecked")); // Who has it has just come.
    await sql`update sessions set started_at = now() - interval '15 s' where session_id = ${session}`.execute(db());
    const report = await look();
    assert.match(found(report, "unchecked"), /idle \(1 task\), for up to \d\d s/);
    assert.ok(statuses(report, "warn").includes("unchecked"));
  });

  it("find an exclusive key that no running task holds", async () => {
    await pretendServer();
    const { taskId } = await createTask(db(), { namespace, kind: "absent" });
    await sql`insert into task_exclusives values (${namespace}, 'held', ${taskId})`.execute(db());
    assert.match(found(await look(), "exclusive_keys"), /held by .* that is pending/);
    await sql`update task_exclusives set task_id = ${randomUUID()} where namespace = ${namespace}`.execute(db());
    const report = await look();
    assert.match(found(report, "exclusive_keys"), /that is not there/);
    assert.deepEqual(statuses(report, "fail"), ["exclusive_keys"]);
  });

  it("find an idle transaction that holds a task's row", async () => {
    await using _ = await startEngine(store, { namespace });
    await using client = await connected(store.url!, "forgotten psql");
    const { taskId } = await createTask(db(), { namespace, kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    await client.query("begin");
    await client.query("select from tasks where task_id = $1 for update", [taskId]);
    const idle = /^process \d+ \(forgotten psql, \w+\) has been idle in a transaction for [\d.]+ s with locks on tasks/;
    const report = await eventually(
      async () => {
        const looked = await look();
        assert.match(found(looked, "transactions"), idle);
        return looked;
      },
      { timeoutMs: 20_000 },
    );
    assert.ok(!statuses(report, "ok").includes("transactions"));
    await client.query("rollback");
    assert.ok(statuses(await look(), "ok").includes("transactions"));
  });

  it("say what is switched off", async () => {
    await using _ = await startEngine(store, { namespace });
    const report = await look({ notify: "off" });
    assert.match(found(report, "wakeups"), /switched off/);
    assert.equal(report.status, "ok");
  });
});

function found({ checks }: DoctorReport, name: CheckName): string {
  return checks.find((check) => check.name === name)!.found;
}

function statuses({ checks }: DoctorReport, status: string): CheckName[] {
  return checks.flatMap((check) => (check.status === status ? check.name : []));
}

async function connected(url: string, application = "test"): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url, application_name: application });
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
