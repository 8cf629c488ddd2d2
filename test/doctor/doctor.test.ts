import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import pg from "pg";
import { openConnection } from "../../src/client/transport/connection.ts";
import { CHECK_NAMES } from "../../src/doctor/check.ts";
import type { CheckName } from "../../src/doctor/check.ts";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { runDoctor } from "../../src/doctor/doctor.ts";
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
/** The time limit of a test: some scans run twice, seconds apart. */
const TEST_MS = 60_000;

describe("the doctor", function () {
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

  async function diagnose(flags: Record<string, string> = {}, timeoutMs = TIMEOUT_MS): Promise<DoctorReport> {
    const address = "127.0.0.1:1";
    const transport = openConnection({ address });
    try {
      const endpoint = { address, isNamed: false, transport };
      return await runDoctor({
        settings: readConfiguration({ flags: { databaseUrl: store.url!, namespace, ...flags } }),
        endpoint,
        timeoutMs,
      });
    } finally {
      transport.close();
    }
  }

  /** Opens the session of a server that does nothing. */
  async function pretendServer({
    kinds = ["idle"],
    capacity = 4,
    leaseMs = 60_000,
    tokenDigest = null as string | null,
  } = {}) {
    const offers = kinds.map((name) => ({ name, retry: {}, isExclusive: false }));
    const session = newSession({ namespace, host: namespace, kinds: offers, capacity, leaseMs, tokenDigest });
    await openSession(db(), session);
    return session.sessionId;
  }

  const back = (taskId: string, seconds: number) =>
    sql`update tasks set created_at = now() - ${seconds}::int * interval '1 second' where task_id = ${taskId}`.execute(
      db(),
    );

  it("reports ok for every check of a healthy service", async () => {
    await using _ = await startEngine(store, { namespace });
    // On a busy machine one report may show a slow check that the next does not.
    const report = await eventually(
      async () => {
        const latest = await diagnose();
        const others = latest.checks.filter(({ status }) => status !== "ok").map(({ name, status }) => [name, status]);
        assert.deepEqual(others, [["server", "skipped"]]);
        return latest;
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

  it("reports that the database is down and skips the checks that need it", async () => {
    const report = await diagnose({ databaseUrl: "postgres://me:secret@127.0.0.1:1/none" });
    assert.equal(report.status, "fail");
    assert.match(found(report, "database"), /ECONNREFUSED/);
    assert.deepEqual(statuses(report, "fail"), ["database"]);
    assert.deepEqual(statuses(report, "skipped").length, CHECK_NAMES.length - 1);
    assert.match(found(report, "sweeper"), /the database was not reached/);
    assert.doesNotMatch(JSON.stringify(report), /secret/);
  });

  it("ends at its deadline if the database does not answer", async () => {
    const url = new URL(store.url!);
    await using proxy = await startTcpProxy(() => new URL(store.url!).host);
    proxy.silenceNext();
    url.host = proxy.address;
    const report = await diagnose({ databaseUrl: url.href }, 1_000);
    assert.match(found(report, "database"), /no result within 1 s/);
  });

  it("fails for a schema that is missing, too old or too new", async () => {
    await using empty = await createDatabase();
    const never = await diagnose({ databaseUrl: empty.url });
    assert.match(found(never, "schema"), /at schema none, older/);
    assert.match(found(never, "sweeper"), /the schema is another version's/);
    assert.deepEqual(statuses(never, "fail"), ["schema"]);

    await using other = await openPostgres();
    const last = await sql<{ name: string }>`select max(name) as name from spool_migrations`.execute(other.db);
    await sql`delete from spool_migrations where name = ${last.rows[0]!.name}`.execute(other.db);
    assert.match(found(await diagnose({ databaseUrl: other.url! }), "schema"), /older than this program's/);
    await sql`insert into spool_migrations (name, timestamp) values ('9999-later', '2031-01-01')`.execute(other.db);
    const newer = await diagnose({ databaseUrl: other.url! });
    assert.match(found(newer, "schema"), /9999-later, newer than/);
    assert.deepEqual(statuses(newer, "fail"), ["schema"]);
  });

  it("fails for database settings that break a promise", async () => {
    await using database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    const set = async (setting: string) => {
      await using client = await connected(database.url);
      await client.query(`alter database ${name} set ${setting}`);
    };
    await set("default_transaction_read_only = on");
    assert.match(found(await diagnose({ databaseUrl: database.url }), "postgres"), /rejects writes/);
  });

  it("warns when few connections are free", async () => {
    await using server = await startServer();
    const clients = await Promise.all(Array.from({ length: 180 }, () => connected(server.url)));
    const report = await diagnose({ databaseUrl: server.url });
    await Promise.all(clients.map((client) => client.end()));
    assert.ok(statuses(report, "warn").includes("connections"), found(report, "connections"));
    const after = await diagnose({ databaseUrl: server.url });
    assert.ok(statuses(after, "ok").includes("connections"), found(after, "connections"));
  });

  it("fails when no server is alive, even if workers are", async () => {
    assert.match(found(await diagnose(), "sessions"), /no server is alive/);
    await pretendServer({ tokenDigest: "00" });
    const report = await diagnose();
    assert.match(found(report, "sessions"), /no server is alive; 0 servers and 1 worker/);
    assert.deepEqual(statuses(report, "fail"), ["sessions"]);
  });

  it("fails for expired sessions with and without tasks", async () => {
    const dead = await pretendServer();
    await createRunning(db(), { namespace, lease: dead });
    const empty = await pretendServer();
    await sql`update sessions set expires_at = now() - interval '20 s', seen_at = now() - interval '30 s'
      where session_id in (${dead}, ${empty})`.execute(db());
    const report = await diagnose();
    assert.match(
      found(report, "sweeper"),
      /1 task whose session is gone by up to 2\d s; 1 session expired 2\d s ago and not removed/,
    );
    assert.ok(statuses(report, "fail").includes("sweeper"));
    await sql`delete from sessions where namespace = ${namespace}`.execute(db());
    assert.match(found(await diagnose(), "sweeper"), /^not swept: 1 task whose session is gone$/);
    // A new server sweeps.
    await using _ = await startEngine(store, { namespace });
    const swept = await diagnose();
    assert.ok(statuses(swept, "ok").includes("sweeper"), found(swept, "sweeper"));
  });

  it("reports tasks past a cancel, past an attempt's deadline and past the task's deadline", async () => {
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
    // First with a grace of 5 s and 2 s for the owner, then with a grace that has not passed.
    const report = await diagnose();
    const overdue = ["past a cancel", "past the deadline of their attempt", "waiting past their deadline"];
    const each = overdue.map((what) => `1 task ${what} by up to [\\d.]+ s`);
    assert.match(found(report, "sweeper"), new RegExp(`^not swept: ${each.join("; ")}$`));
    assert.ok(!statuses(report, "ok").includes("sweeper"));
    const lenient = await diagnose({ cancelGraceMs: "60000" });
    assert.match(found(lenient, "sweeper"), new RegExp(`^not swept: ${each[2]}$`));
  });

  it("warns of a kind that no live process runs once a task has waited longer than a lease", async () => {
    await pretendServer({ capacity: 0 });
    const { taskId } = await createTask(db(), { namespace, kind: "absent" });
    const unvalidated = await createTask(db(), { namespace, kind: "unheard", isUnvalidated: true });
    assert.ok(statuses(await diagnose(), "ok").includes("kinds"));
    await back(taskId, 11);
    await back(unvalidated.taskId, 12);
    const report = await diagnose();
    assert.match(
      found(report, "kinds"),
      /no live server or worker runs (absent|unheard) \(1 task\), (absent|unheard) \(1 task\), due for up to \d\d s/,
    );
    assert.equal(report.status, "warn");
  });

  it("reports only the task that is next in line as waiting while a slot is free", async () => {
    await pretendServer({ kinds: ["idle"], capacity: 1 });
    const { taskId } = await createTask(db(), { namespace, kind: "idle" });
    await createTask(db(), { namespace, kind: "idle" }); // There is one slot.
    await createTask(db(), { namespace, kind: "idle", runAt: new Date(Date.now() + 3_600_000) });
    await back(taskId, 70);
    const report = await diagnose();
    assert.match(
      found(report, "waiting"),
      new RegExp(`^1 task of idle due for 1(\\.\\d)? min while slots are free: ${taskId}$`),
    );
    assert.ok(statuses(report, "fail").includes("waiting"));
  });

  it("warns of a task that the processes with its kind do not validate", async () => {
    const session = await pretendServer();
    const { taskId } = await createTask(db(), { namespace, kind: "idle", isUnvalidated: true });
    await back(taskId, 20);
    assert.ok(statuses(await diagnose(), "ok").includes("unchecked")); // The process that has the kind has just started.
    await sql`update sessions set started_at = now() - interval '15 s' where session_id = ${session}`.execute(db());
    const report = await diagnose();
    assert.match(found(report, "unchecked"), /idle \(1 task\), for up to \d\d s/);
    assert.ok(statuses(report, "warn").includes("unchecked"));
  });

  it("fails for an exclusive key that no running task holds", async () => {
    await pretendServer();
    const { taskId } = await createTask(db(), { namespace, kind: "absent" });
    await sql`insert into task_exclusives values (${namespace}, 'held', ${taskId})`.execute(db());
    assert.match(found(await diagnose(), "exclusive_keys"), /held by .* which is pending/);
    await sql`update task_exclusives set task_id = ${randomUUID()} where namespace = ${namespace}`.execute(db());
    const report = await diagnose();
    assert.match(found(report, "exclusive_keys"), /which does not exist/);
    assert.deepEqual(statuses(report, "fail"), ["exclusive_keys"]);
  });

  it("reports an idle transaction that holds a task's row", async () => {
    await using _ = await startEngine(store, { namespace });
    await using client = await connected(store.url!, "forgotten psql");
    const { taskId } = await createTask(db(), { namespace, kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    await client.query("begin");
    await client.query("select from tasks where task_id = $1 for update", [taskId]);
    const idle = /^process \d+ \(forgotten psql, \w+\) has been idle in a transaction for [\d.]+ s with locks on tasks/;
    const report = await eventually(
      async () => {
        const latest = await diagnose();
        assert.match(found(latest, "transactions"), idle);
        return latest;
      },
      { timeoutMs: 20_000 },
    );
    assert.ok(!statuses(report, "ok").includes("transactions"));
    await client.query("rollback");
    assert.ok(statuses(await diagnose(), "ok").includes("transactions"));
  });

  it("skips a check whose feature is switched off and says so", async () => {
    await using _ = await startEngine(store, { namespace });
    const report = await diagnose({ notify: "off" });
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
