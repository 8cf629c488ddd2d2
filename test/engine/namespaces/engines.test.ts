import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import { namespaceAdmin } from "../../../src/engine/access/namespaces.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import type { Store } from "../../../src/store/database.ts";
import { startEngines } from "../../support/all-engines.ts";
import type { TestEngines } from "../../support/all-engines.ts";
import { kindOf, start, wholeTape } from "../../support/engine-tasks.ts";
import { taskRequest, LOG } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { outline } from "../../support/new-tasks.ts";
import { ScriptedWorker } from "../../support/scripted-worker.ts";
import { Stage } from "../../support/stage.ts";
import { describeHeavyOnEachOwnStore, openPostgres } from "../../support/stores.ts";

const ROOT = { ...ALL_GRANTS, name: "root" };
const NO_FILTER = { limit: 100, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
const ACTIVITY = { windowMs: 60_000, stepMs: 60_000, kinds: [] };
const LISTENERS = "select count(*)::int as count from pg_stat_activity where application_name = 'spool listener'";

describeHeavyOnEachOwnStore("the engines of a server", function (store) {
  beforeEach(() => store().db.deleteFrom("namespaces").execute());

  async function create(of: TestEngines, name = randomUUID()): Promise<string> {
    await namespaceAdmin({ store: store(), engines: of, log: LOG }).setNamespace(ROOT, { name, limits: null });
    return name;
  }

  /** Starts a server with two namespaces. */
  async function startTwo(options: Parameters<typeof startEngines>[1] = {}) {
    const engines = await startEngines(store(), options);
    const name = await create(engines);
    return Object.assign(engines, { name, one: engines.of(engines.defaultNamespace), other: engines.of(name) });
  }

  it("keep the tasks, tapes, lists and activity of two namespaces apart", async () => {
    await using engines = await startTwo();
    const { one, other } = engines;
    const request = { requestId: "the same in both" };
    const [mine, theirs] = [await start(one, request), await start(other, request)];
    assert.notEqual(mine, theirs);
    for (const [engine, taskId] of [
      [one, mine],
      [other, theirs],
    ] as const) {
      assert.deepEqual(outline(await wholeTape(engine, taskId)).at(-1), "final");
      const { tasks } = await engine.listTasks(NO_FILTER);
      assert.deepEqual(tasks.map((task) => task.taskId), [taskId]); // prettier-ignore
      const { kinds } = await engine.getActivity(ACTIVITY);
      assert.equal(kinds.length, 1);
    }
    const notFound = { reason: "TASK_NOT_FOUND" };
    await assert.rejects(other.getTask(mine), notFound);
    await assert.rejects(other.cancelTask(mine, { reason: "", by: null }), notFound);
    await assert.rejects(other.deleteTask(mine, null), notFound);
    await assert.rejects(other.readEvents({ taskId: mine, fromSeq: 1n, limit: 1, waitMs: 0 }, never()), notFound);
    assert.deepEqual(outline(await wholeTape(one, mine)).at(-1), "final");
  });

  it("show a follower of many tasks only those of its namespace", async () => {
    await using engines = await startTwo();
    const { one, other } = engines;
    const theirs = await start(other);
    await wholeTape(other, theirs);
    const followed = await firstTask(one, async () => wholeTape(one, await start(one)));
    assert.notEqual(followed, theirs);
  });

  it("assign a worker only tasks of its namespace, and list only its session there", async () => {
    await using engines = await startTwo();
    const { one, other } = engines;
    await using worker = await ScriptedWorker.connect(other);
    const waiting = await start(one, { kind: "remote" });
    const assigned = await start(other, { kind: "remote" });
    assert.equal((await worker.next("assign")).task.taskId, assigned);
    assert.equal((await one.getTask(waiting)).status, "pending");
    const workers = async (engine: Engine) => (await engine.listSessions()).sessions.filter(({ isWorker }) => isWorker);
    assert.deepEqual([(await workers(one)).length, (await workers(other)).length], [0, 1]);
  });

  it("include a namespace that another process has created, and answer NAMESPACE_NOT_FOUND before", async () => {
    await using engines = await startEngines(store());
    const name = randomUUID();
    assert.throws(() => engines.of(name), { reason: "NAMESPACE_NOT_FOUND", metadata: { namespace: name } });
    await store().db.insertInto("namespaces").values({ name, limits: '{"streams":7}', created_by: "root" }).execute();
    await eventually(() => engines.of(name));
    assert.deepEqual(engines.limitsOf(name), { streams: 7 });
    await wholeTape(engines.of(name), await start(engines.of(name)));
  });

  it("serve all namespaces from their start on, and leave all of them at their stop", async () => {
    const { name, defaultNamespace, ...first } = await startTwo();
    assert.equal(await countSessions(store(), name), 1);
    await first[Symbol.asyncDispose]();
    assert.equal(await countSessions(store(), name), 0);
    await assert.rejects(first.other.startTask(taskRequest()), { reason: "DRAINING" });
    const restarted = await startEngines(store(), { defaultNamespace });
    assert.deepEqual(restarted.namespaces.toSorted(), [name, defaultNamespace].toSorted());
    assert.equal(await countSessions(store(), name), 1);
    await restarted[Symbol.asyncDispose]();
  });

  it("continue in the first namespace when a second one joins", async () => {
    const stage = new Stage();
    await using engines = await startEngines(store(), { kinds: [stage.kind] });
    const first = engines.of(engines.defaultNamespace);
    const actor = stage.actor();
    const taskId = await start(first, { kind: "stage", params: actor.params });
    const running = await actor.enter();
    await create(engines);
    const { sessions } = await first.listSessions();
    assert.deepEqual(sessions.map(({ expiresAt }) => expiresAt.getTime() > Date.now()), [true]); // prettier-ignore
    await running.log("INFO", "still here");
    actor.leave();
    assert.equal(outline(await wholeTape(first, taskId)).at(-1), "final");
  });

  it("hand over the tasks of all namespaces before their process crashes", async () => {
    const stage = new Stage();
    await using engines = await startTwo({ kinds: [stage.kind] });
    const running = await Promise.all(
      [engines.one, engines.other].map(async (engine) => {
        const actor = stage.actor();
        const taskId = await start(engine, { kind: "stage", params: actor.params, maxAttempts: 2 });
        await actor.enter();
        return { engine, actor, taskId };
      }),
    );
    const taskIds = running.map(({ taskId }) => taskId);
    assert.deepEqual(engines.running().map(({ taskId }) => taskId).toSorted(), taskIds.toSorted()); // prettier-ignore
    await engines.handOver({ taskId: taskIds[1]!, kind: "stage", attempt: 1 }, new Error("boom"));
    for (const { engine, actor, taskId } of running) {
      assert.equal((await engine.getTask(taskId)).status, "pending");
      actor.leave();
    }
  });

  it("share one budget of slots, in turn: a long backlog delays another namespace by one task", async () => {
    const order: string[] = [];
    const kind = kindOf("quick", ({ params }) => Promise.resolve(void order.push(params["of"] as string)));
    const stage = new Stage();
    await using engines = await startTwo({ kinds: [kind, stage.kind], slots: 1 });
    const { one, other } = engines;
    const actor = stage.actor();
    await start(one, { kind: "stage", params: actor.params });
    await actor.enter();
    const queue = (engine: Engine, of: string) => start(engine, { kind: "quick", params: { of } });
    const long = await Promise.all(Array.from({ length: 10 }, () => queue(one, "one")));
    const short = await Promise.all(Array.from({ length: 2 }, () => queue(other, "other")));
    actor.leave();
    for (const taskId of short) await wholeTape(other, taskId);
    for (const taskId of long) await wholeTape(one, taskId);
    assert.equal(order.length, 12);
    assert.ok(order.lastIndexOf("other") < 8, order.join());
    assert.deepEqual([...engines.gauges().budgets].map(({ slots }) => slots), [1]); // prettier-ignore
  });
});

/** Only a server is listened to. */
describe("on Postgres, the listener of a server", () => {
  it("is one connection for all namespaces, and wakes each of them", async () => {
    await using store = await openPostgres();
    const { db } = store;
    await using one = await startEngines(store);
    const admin = namespaceAdmin({ store, engines: one, log: LOG });
    const names = Array.from({ length: 3 }, () => randomUUID());
    for (const name of names) await admin.setNamespace(ROOT, { name, limits: null });
    const listeners = async () => (await sql<{ count: number }>`${sql.raw(LISTENERS)}`.execute(db)).rows[0]!.count;
    await eventually(async () => assert.equal(await listeners(), 1));
    await using other = await startEngines(store, { defaultNamespace: one.defaultNamespace });
    for (const name of [one.defaultNamespace, ...names]) {
      const taskId = await start(one.of(name), { runAt: new Date(Date.now() + 60_000) });
      const ended = wholeTape(other.of(name), taskId);
      await other.of(name).readEvents({ taskId, fromSeq: 1n, limit: 1, waitMs: 0 }, never());
      await one.of(name).cancelTask(taskId, { reason: "woken", by: null });
      assert.equal(outline(await ended).at(-1), "final");
    }
    assert.equal(await listeners(), 2);
  });
});

/** Follows many tasks, acts, and returns the id of the first task that the follower gets. */
async function firstTask(engine: Engine, act: () => Promise<unknown>): Promise<string> {
  const query = { kinds: [], labels: {}, view: "events", cursor: null, fromStart: false } as const;
  let acting: Promise<unknown> | undefined;
  for await (const { tasks } of engine.followTasks({ ...query, heartbeatMs: 1_000, intervalMs: 0 }, never())) {
    acting ??= act();
    if (tasks.length === 0) continue;
    await acting;
    return tasks[0]!.taskId;
  }
  throw new Error("the stream has ended");
}

async function countSessions({ db }: Store, namespace: string): Promise<number> {
  return (await db.selectFrom("sessions").select("session_id").where("namespace", "=", namespace).execute()).length;
}

function never(): AbortSignal {
  return new AbortController().signal;
}
