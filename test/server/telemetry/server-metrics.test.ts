import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { connect, worker } from "../../../src/client/client.ts";
import type { SpoolClient, StartRequest } from "../../../src/client/client.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { kindOf, untilStopped } from "../../support/engine-tasks.ts";
import { eventually } from "../../support/eventually.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";
import { scrape } from "../../support/prometheus-text.ts";
import type { PrometheusText } from "../../support/prometheus-text.ts";
import { startServerProcess } from "../../support/server-process.ts";
import type { ServerProcess } from "../../support/server-process.ts";

const KINDS = join(import.meta.dirname, "..", "..", "fault", "support", "kinds.ts");
const MANUAL = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "operating.md"), "utf8");
const MIXED_MS = 90_000;
/** What waits is counted once in 5 s. */
const COUNTED_MS = 15_000;
/** One event, and then nothing until it is told to stop. */
const LASTING: StartRequest = { kind: "fault-steps", params: { events: 2, every_ms: 120_000 } };
const TOMORROW = 24 * 3_600_000;

/** The metrics that docs/operating.md lists. */
function documented(): string[] {
  const [, table] = MANUAL.split("| metric | type |");
  const rows = table!.split("\n\n", 1)[0]!.split("\n").slice(2);
  return rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
}

describe("the metrics of servers that share a database", () => {
  let database: TestDatabase;
  let store: Store;
  let servers: ServerProcess[];
  let clients: SpoolClient[];
  const startOne = async () => {
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_LEASE_MS: "2000", SPOOL_CANCEL_GRACE_MS: "1000" };
    const server = await startServerProcess({ environment, args: ["--kinds", KINDS] });
    await eventually(async () => assert.equal((await fetch(`${server.url}/readyz`)).status, 200));
    servers.push(server);
    clients.push(connect({ address: server.address }));
  };
  before(async function () {
    this.timeout(MIXED_MS);
    [servers, clients] = [[], []];
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
    await startOne();
    await startOne();
    await runMixed();
  });
  after(async function () {
    this.timeout(MIXED_MS);
    for (const client of clients) client.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
    await store?.close();
    await database?.[Symbol.asyncDispose]();
  });

  const count = async (counted: ReturnType<typeof sql<{ n: bigint }>>) =>
    Number((await counted.execute(store.db)).rows[0]!.n);
  const tasks = (where = sql`true`) => count(sql<{ n: bigint }>`select count(*) as n from tasks where ${where}`);
  const scrapeBoth = () => Promise.all(servers.slice(0, 2).map(({ url }) => scrape(url)));
  const sum = (texts: readonly PrometheusText[], ...of: Parameters<PrometheusText["sum"]>) =>
    texts.reduce((total, text) => total + (text.sum(...of) ?? 0), 0);
  const startAndWait = async (client: SpoolClient, request: StartRequest) => {
    const { task } = await client.start(request);
    return client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
  };
  const startRunning = async (client: SpoolClient, request: StartRequest) => {
    const { task } = await client.start(request);
    await eventually(async () => assert.equal((await client.get({ taskId: task.taskId })).lastSeq, 2n));
    return task.taskId;
  };

  /** Everything that becomes of tasks, at two servers; when it is over, nothing changes any more. */
  async function runMixed(): Promise<void> {
    const [a, b] = clients as [SpoolClient, SpoolClient];
    const quick = { maxAttempts: 2, retryPolicy: { initialBackoffMs: 1, jitter: 0 } };
    for (const client of [a, b]) {
      await startAndWait(client, { kind: "fault-flaky", params: { events: 3, failing_attempts: 1 }, ...quick });
      await startAndWait(client, { kind: "fault-flaky", params: { events: 3, failing_attempts: 1 } });
    }
    await a.start({ kind: "echo", requestId: "once" });
    assert.equal((await b.start({ kind: "echo", requestId: "once" })).alreadyStarted, true);
    const { task: early } = await a.start({ ...LASTING, runAt: new Date(Date.now() + TOMORROW) });
    assert.equal((await b.cancel({ taskId: early.taskId })).outcome, "cancelled");
    await a.start({ kind: "echo", runAt: new Date(Date.now() + TOMORROW) });
    await b.start({ kind: "nobody-has-it" });
    // Asked to cancel where it does not run.
    const cancelled = await startRunning(a, LASTING);
    assert.equal((await b.cancel({ taskId: cancelled })).outcome, "requested");
    await a.waitFinal({ taskId: cancelled, timeoutMs: 30_000 });
    assert.equal((await a.cancel({ taskId: cancelled })).outcome, "already_terminal");
    await startRunning(a, LASTING);
    await startRunning(b, LASTING);
  }

  it("agree with the stored data, summed up over two servers", async () => {
    await eventually(
      async () => {
        const texts = await scrapeBoth();
        assert.equal(sum(texts, "spool_tasks_started_total"), await tasks());
        for (const status of ["succeeded", "failed", "cancelled"]) {
          const ended = await tasks(sql`status = ${status}`);
          assert.ok(ended > 0);
          assert.equal(sum(texts, "spool_tasks_ended_total", { status }), ended, status);
          assert.equal(sum(texts, "spool_task_duration_seconds_count", { status }), ended, status);
        }
        assert.equal(sum(texts, "spool_attempts_started_total"), await count(sql`select sum(attempt) as n from tasks`));
        assert.equal(sum(texts, "spool_task_wait_seconds_count"), sum(texts, "spool_attempts_started_total"));
        const retried = await count(sql`select count(*) as n from task_events where type = 'retrying'`);
        assert.equal(retried, 2);
        assert.equal(sum(texts, "spool_attempt_duration_seconds_count", { outcome: "retrying" }), retried);
        assert.equal(sum(texts, "spool_events_total"), await count(sql`select count(*) as n from task_events`));
        for (const outcome of ["cancelled", "requested", "already_terminal"])
          assert.equal(sum(texts, "spool_cancels_total", { outcome }), 1, outcome);
        assert.equal(sum(texts, "spool_cancel_duration_seconds_count"), 1);
        assert.equal(sum(texts, "spool_tasks_running", { kind: "fault-steps" }), 2);
        assert.equal(sum(texts, "spool_tasks_running"), await tasks(sql`status = 'running'`));
        // Of the namespace, at each of them.
        for (const text of texts) {
          assert.equal(text.sum("spool_tasks_waiting"), 1);
          assert.equal(text.sum("spool_tasks_waiting", { kind: "nobody-has-it" }), 1);
          assert.ok(text.sum("spool_tasks_waiting_oldest_seconds", { kind: "nobody-has-it" })! > 0);
          assert.equal(text.sum("spool_tasks_delayed", { kind: "echo" }), 1);
        }
      },
      { timeoutMs: COUNTED_MS },
    );
  }).timeout(MIXED_MS);

  it("count the bytes of bodies that the journal committed", async () => {
    const [client] = clients as [SpoolClient];
    const { url } = servers[0]!;
    // A task that waits for a moment is begun by a claim, which is not the journal's: then once more.
    await eventually(async () => {
      const before = (await scrape(url)).sum("spool_journal_bytes_total")!;
      const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(store.db);
      for (let index = 0; index < 5; index++) await startAndWait(client, { kind: "echo", params: { count: 20 } });
      const bytes = await count(
        sql`select sum(octet_length(body::text)) as n from task_events where time >= ${rows[0]!.at}`,
      );
      assert.ok(bytes > 1_000);
      assert.equal((await scrape(url)).sum("spool_journal_bytes_total"), before + bytes);
    });
  });

  it("include followers, long polls and workers while they are connected", async () => {
    const [client] = clients as [SpoolClient];
    const [{ url, address }] = servers as [ServerProcess];
    const taskId = await startRunning(client, LASTING);
    const kind = kindOf("at-a-worker", ({ signal }) => untilStopped(signal));
    const running = worker({ address, kinds: [kind], concurrency: 3, drainMs: 0, graceMs: 0, signals: false });
    const gone = new AbortController();
    const follows = [
      Array.fromAsync(client.follow({ taskId, fromSeq: 3n })),
      client.events({ taskId, fromSeq: 3n, waitMs: 60_000 }),
      Array.fromAsync(client.followTasks({ kinds: ["fault-steps"] }, { signal: gone.signal })).catch(() => {}),
    ];
    await client.start({ kind: "at-a-worker" });
    await eventually(async () => {
      const text = await scrape(url);
      assert.equal(text.sum("spool_followers", { of: "tape" }), 2);
      assert.equal(text.sum("spool_followers", { of: "tasks" }), 1);
      assert.equal(text.sum("spool_workers"), 1);
      assert.equal(text.sum("spool_tasks_running", { kind: "at-a-worker" }), 1);
      assert.equal(text.sum("spool_slots"), 64 + 3);
      assert.equal(text.sum("spool_slots", { state: "busy" }), text.sum("spool_tasks_running"));
    });
    await client.cancel({ taskId });
    gone.abort();
    await Promise.all(follows);
    await running[Symbol.asyncDispose]();
    await eventually(async () => {
      const text = await scrape(url);
      assert.equal(text.sum("spool_followers"), 0);
      assert.equal(text.sum("spool_workers"), 0);
      assert.equal(text.sum("spool_slots"), 64);
    });
  }).timeout(MIXED_MS);

  it("lose the counts of a killed server but include the tasks that it left", async () => {
    await startOne();
    const [, , c] = clients as [SpoolClient, SpoolClient, SpoolClient];
    const { url, end } = servers[2]!;
    const LEFT = 2;
    await eventually(async () => {
      await startRunning(c, LASTING);
      assert.equal((await scrape(url)).sum("spool_tasks_running"), LEFT);
    });
    const gone = await scrape(url);
    const before = await scrapeBoth();
    await end("SIGKILL");
    await eventually(
      async () => {
        const texts = await scrapeBoth();
        const more = (...of: Parameters<PrometheusText["sum"]>) => sum(texts, ...of) - sum(before, ...of);
        assert.equal(more("spool_tasks_swept_total", { kind: "fault-steps", reason: "lost" }), LEFT);
        assert.equal(more("spool_tasks_ended_total", { kind: "fault-steps", status: "failed" }), LEFT);
        assert.equal(more("spool_events_total"), LEFT);
        // What it started and committed, it alone has counted.
        assert.ok(sum(texts, "spool_tasks_started_total") < (await tasks()));
        assert.equal(sum([...texts, gone], "spool_tasks_started_total"), await tasks());
        const events = await count(sql`select count(*) as n from task_events`);
        assert.equal(sum([...texts, gone], "spool_events_total"), events);
      },
      { timeoutMs: 20_000 },
    );
  }).timeout(MIXED_MS);

  it("count a deleted task once, at the server that removed it", async () => {
    const [client] = clients as [SpoolClient];
    const { taskId } = (await client.start({ kind: "echo" })).task;
    await client.waitFinal({ taskId, timeoutMs: 30_000 });
    assert.equal((await client.delete({ taskId })).alreadyDeleted, false);
    assert.equal((await client.delete({ taskId })).alreadyDeleted, true);
    await eventually(async () => assert.equal(sum(await scrapeBoth(), "spool_tasks_removed_total"), 1));
  });

  it("are those that docs/operating.md lists", async () => {
    const names = new Set((await scrapeBoth()).flatMap((text) => [...text.names]));
    const listed = documented();
    assert.ok(listed.length > 30);
    assert.deepEqual(names.difference(new Set(listed)), new Set());
    // Only a server with a standby has these: test/server/standby.test.ts.
    const ofStandbys = new Set(["spool_standby_lag_bytes", "spool_standby_reads_total"]);
    assert.deepEqual(new Set(listed).difference(names), ofStandbys);
  });
});
