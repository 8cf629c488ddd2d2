import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Activity, ActivityStep, KindActivity } from "../../../src/domain/activity.ts";
import { readActivity } from "../../../src/store/reports/activity-queries.ts";
import type { Database } from "../../../src/store/schema.ts";
import { kindOf, outcomeOf, start, startRunning, untilEvent, untilStopped } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { createTask } from "../../support/new-tasks.ts";
import { describeOnEachStore, openPostgres } from "../../support/stores.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describeOnEachStore("the activity", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const read = (query: { windowMs?: number; stepMs?: number; kinds?: readonly string[] } = {}) =>
    readActivity(store().db, { namespace, windowMs: HOUR_MS, stepMs: MINUTE_MS, kinds: [], ...query });

  /** Stores a task with these times, given in SQL. */
  async function place(row: { kind?: string; status?: string; started?: string; finished?: string }): Promise<void> {
    const { kind = "echo", status = "succeeded", started = "null", finished = "null" } = row;
    const { taskId } = await createTask(store().db, { namespace, kind });
    await sql`update tasks set status = ${status}, started_at = ${sql.raw(started)}, finished_at = ${sql.raw(finished)},
      lease = case when ${status} = 'running' then ${randomUUID()}::uuid end where task_id = ${taskId}`.execute(
      store().db,
    );
  }

  it("of an empty namespace is a list of empty steps, of which the last is the current one", async () => {
    await createTask(store().db, { namespace: randomUUID() });
    const { steps, stepMs, kinds } = await read({ windowMs: 10_001, stepMs: 2_500 });
    const { rows } = await sql<{ now: Date }>`select now() as now`.execute(store().db);
    const last = steps.at(-1)!.start.getTime();
    assert.equal(last % 2_500, 0);
    assert.ok(last <= rows[0]!.now.getTime() && last > rows[0]!.now.getTime() - MINUTE_MS);
    const none = { started: 0, succeeded: 0, failed: 0, cancelled: 0, running: 0 };
    assert.deepEqual(
      steps,
      [4, 3, 2, 1, 0].map((back) => ({ start: new Date(last - back * 2_500), ...none })),
    );
    assert.deepEqual([stepMs, kinds], [2_500, []]);
  });

  it("counts a start or end at the edge of two steps in the later one", async () => {
    const edge = "date_bin(interval '1 minute', now(), timestamptz 'epoch') - interval '10 minutes'";
    const before = `${edge} - interval '1 microsecond'`;
    await place({ started: before, finished: edge });
    await place({ started: edge, finished: `${edge} + interval '1 minute'`, status: "failed" });
    const { rows } = await sql<{ edge: Date }>`select ${sql.raw(edge)} as edge`.execute(store().db);
    const { steps } = await read();
    const at = steps.findIndex(({ start }) => start.getTime() === rows[0]!.edge.getTime());
    const shown = steps
      .slice(at - 1, at + 2)
      .map(({ started, succeeded, failed, running }) => ({ started, succeeded, failed, running }));
    assert.deepEqual(shown, [
      { started: 1, succeeded: 0, failed: 0, running: 1 },
      { started: 1, succeeded: 1, failed: 0, running: 1 },
      { started: 0, succeeded: 0, failed: 1, running: 0 },
    ]);
  });

  it("includes tasks that started before its first step: while they run, and when they end", async () => {
    await place({ status: "running", started: "now() - interval '3 days'" });
    await place({ started: "now() - interval '3 days'", finished: "now() - interval '30 minutes'" });
    await place({ started: "now() - interval '3 days'", finished: "now() - interval '2 days'" });
    const { steps, kinds } = await read();
    assert.deepEqual([steps[0]!.running, steps.at(-1)!.running], [2, 1]);
    assert.equal(sum(steps, "started"), 0);
    assert.equal(sum(steps, "succeeded"), 1);
    const dayMs = 24 * HOUR_MS;
    assert.equal(kinds[0]!.durations!.p50Ms, 3 * dayMs - 30 * MINUTE_MS);
  });

  it("counts times in the future in its last step", async () => {
    await place({ status: "failed", started: "now() + interval '1 hour'", finished: "now() + interval '30 minutes'" });
    const { steps, kinds } = await read();
    const { started, failed, running } = steps.at(-1)!;
    assert.deepEqual([started, failed, running], [1, 1, 0]);
    assert.equal(kinds[0]!.durations, null);
  });

  it("lists a hundred kinds, the first in alphabetical order", async () => {
    const names = Array.from({ length: 100 }, (_, index) => `kind-${String(index).padStart(3, "0")}`);
    for (const kind of [...names].reverse()) await createTask(store().db, { namespace, kind });
    const listed = async () => (await read()).kinds.map(({ kind }) => kind);
    assert.deepEqual(await listed(), names);
    await createTask(store().db, { namespace, kind: "KIND" }); // Before the others, by its bytes.
    assert.deepEqual(await listed(), ["KIND", ...names.slice(0, 99)]);
  });

  it("has exact percentiles of few durations, and of many durations percentiles at most 0.1 % too long", async () => {
    await createTask(store().db, { namespace, kind: "none" });
    for (const ms of [0, 0.4, 7, 90_000, 123]) {
      const finished = `now() - interval '5 minutes'`;
      await place({ kind: "few", started: `${finished} - interval '${ms} milliseconds'`, finished });
    }
    await sql`
      insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, started_at, finished_at, max_attempts)
      select gen_random_uuid(), ${namespace}, 'many', 'succeeded', '{}', '', '{}', e.at - d.ms * interval '1 millisecond', e.at, 1
      from generate_series(1, 5000) as i, lateral (select now() - interval '2 minutes' as at) e,
           lateral (select exp(10 * abs(sin(i))) as ms) d`.execute(store().db);
    const { kinds } = await read();
    assert.deepEqual(
      kinds.map(({ kind, durations }) => [kind, kind === "many" ? null : durations]),
      [
        ["few", { p50Ms: 7, p95Ms: 90_000 }],
        ["many", null],
        ["none", null],
      ],
    );
    const { p50Ms, p95Ms } = kinds[1]!.durations!;
    const exact = await percentiles(store().db, { namespace, kind: "many" });
    assert.ok(p50Ms >= exact.p50 && p50Ms <= exact.p50 * 1.001, `${p50Ms} for ${exact.p50}`);
    assert.ok(p95Ms >= exact.p95 && p95Ms <= exact.p95 * 1.001, `${p95Ms} for ${exact.p95}`);
  });

  it("matches separate counts in SQL, for tasks in all states", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const kinds = [
      kindOf("stays", ({ signal }) => Promise.race([released, untilStopped(signal)])),
      kindOf("fails", () => Promise.reject(new Error("no"))),
    ];
    await using engine = await startEngine(store(), { namespace, kinds });
    for (let count = 0; count < 8; count++) await outcomeOf(engine, await start(engine));
    for (let count = 0; count < 3; count++) await outcomeOf(engine, await start(engine, { kind: "fails" }));
    const twice = { maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } };
    assert.equal((await outcomeOf(engine, await start(engine, { kind: "fails", ...twice }))).tape.length, 4);
    const retryPolicy = { initialBackoffMs: HOUR_MS, maxBackoffMs: HOUR_MS };
    await untilEvent(engine, await start(engine, { kind: "fails", maxAttempts: 2, retryPolicy }), "retrying");
    const runAt = new Date(Date.now() + HOUR_MS);
    await start(engine, { runAt });
    await engine.cancelTask(await start(engine, { runAt }), { reason: "before it ran", by: null });
    const cancelled = await startRunning(engine, { kind: "stays" });
    await engine.cancelTask(cancelled, { reason: "while it runs", by: null });
    await outcomeOf(engine, cancelled);
    await startRunning(engine, { kind: "stays" });
    await startRunning(engine, { kind: "stays" });
    await spread(store().db, namespace);

    for (const query of [
      { windowMs: HOUR_MS, stepMs: 30_000 },
      { windowMs: 10 * MINUTE_MS, stepMs: 7_001 },
      { windowMs: MINUTE_MS, stepMs: MINUTE_MS },
      { windowMs: HOUR_MS, stepMs: MINUTE_MS, kinds: ["fails", "stays", "unheard-of"] },
    ]) {
      const activity = await read(query);
      assert.equal(activity.steps.length, Math.ceil(query.windowMs / query.stepMs));
      assert.deepEqual(activity.steps, await stepsBySql(store().db, { namespace, kinds: query.kinds, activity }));
      assert.deepEqual(activity.kinds, await kindsBySql(store().db, { namespace, kinds: query.kinds, activity }));
    }
    const { steps } = await read();
    const totals = { started: 16, succeeded: 8, failed: 4, cancelled: 2 };
    for (const [field, total] of Object.entries(totals)) assert.equal(sum(steps, field as "started"), total, field);
    assert.equal(steps.at(-1)!.running, 3); // Two that run, and one that waits for its second attempt.
    release();
  });
});

describe("the activity of a slow database", () => {
  it("ends with OVERLOADED after its time limit", async () => {
    await using store = await openPostgres();
    const query = { namespace: "any", windowMs: HOUR_MS, stepMs: MINUTE_MS, kinds: [] };
    await store.db.transaction().execute(async (trx) => {
      await sql`lock table tasks in access exclusive mode`.execute(trx);
      await assert.rejects(readActivity(store.db, query, 50), { reason: "OVERLOADED" });
    });
    assert.equal((await readActivity(store.db, query, 5_000)).steps.length, 60); // And no connection keeps the limit.
    const { rows } = await sql<{ limit: string }>`select current_setting('statement_timeout') as limit`.execute(
      store.db,
    );
    assert.deepEqual(rows, [{ limit: "0" }]);
  });
});

/** Moves each task back in time, by up to an hour and in no step of any width, and stretches how long it took. */
async function spread(db: Kysely<Database>, namespace: string): Promise<void> {
  await sql`
    update tasks t
    set started_at = t.started_at - i.number * interval '200.003 seconds',
        finished_at = t.finished_at - i.number * interval '200.003 seconds' + i.number * interval '31.7 seconds'
    from (select task_id, row_number() over (order by task_id) - 1 as number from tasks where namespace = ${namespace}) i
    where t.task_id = i.task_id`.execute(db);
}

interface Shown {
  namespace: string;
  kinds: readonly string[] | undefined;
  activity: Activity;
}

const ofKinds = (kinds: readonly string[] | undefined) =>
  kinds === undefined ? sql`true` : sql`kind = any(${sql.val(kinds)}::text[])`;

/** The same steps, each counted by itself, as its definition reads. */
async function stepsBySql(db: Kysely<Database>, { namespace, kinds, activity }: Shown): Promise<ActivityStep[]> {
  const steps: ActivityStep[] = [];
  for (const { start } of activity.steps) {
    const end = new Date(start.getTime() + activity.stepMs);
    const ended = (status: string) =>
      sql`count(*) filter (where status = ${status} and finished_at >= ${start} and finished_at < ${end})::int`;
    const { rows } = await sql<Omit<ActivityStep, "start">>`
      select count(*) filter (where started_at >= ${start} and started_at < ${end})::int as started,
             ${ended("succeeded")} as succeeded, ${ended("failed")} as failed, ${ended("cancelled")} as cancelled,
             count(*) filter (where started_at < ${end} and (finished_at is null or finished_at >= ${end}))::int as running
      from tasks where namespace = ${namespace} and ${ofKinds(kinds)}`.execute(db);
    steps.push({ start, ...rows[0]! });
  }
  return steps;
}

async function kindsBySql(db: Kysely<Database>, { namespace, kinds, activity }: Shown): Promise<KindActivity[]> {
  const { start } = activity.steps[0]!;
  const ended = (status: string) => sql`count(*) filter (where status = ${status} and finished_at >= ${start})::int`;
  const { rows } = await sql<Omit<KindActivity, "durations">>`
    select kind, count(*) filter (where status = 'pending')::int as pending,
           count(*) filter (where status = 'running')::int as running,
           ${ended("succeeded")} as succeeded, ${ended("failed")} as failed, ${ended("cancelled")} as cancelled
    from tasks
    where namespace = ${namespace} and ${ofKinds(kinds)} and (finished_at is null or finished_at >= ${start})
    group by kind order by kind`.execute(db);
  return Promise.all(
    rows.map(async (row) => {
      const { p50, p95 } = await percentiles(db, { namespace, kind: row.kind, from: start });
      return { ...row, durations: p50 === null ? null : { p50Ms: p50, p95Ms: p95 } };
    }),
  );
}

/** In milliseconds; null where no task of the kind has begun and ended since. */
async function percentiles(
  db: Kysely<Database>,
  { namespace, kind, from = new Date(0) }: { namespace: string; kind: string; from?: Date },
): Promise<{ p50: number; p95: number }> {
  const at = (fraction: number) =>
    sql`(extract(epoch from percentile_disc(${fraction}::float8) within group (order by finished_at - started_at)) * 1000)::float8`;
  const { rows } = await sql<{ p50: number; p95: number }>`
    select ${at(0.5)} as p50, ${at(0.95)} as p95 from tasks
    where namespace = ${namespace} and kind = ${kind} and finished_at >= ${from}`.execute(db);
  return rows[0]!;
}

function sum(steps: readonly ActivityStep[], field: "started" | "succeeded" | "failed" | "cancelled"): number {
  return steps.reduce((total, step) => total + step[field], 0);
}
