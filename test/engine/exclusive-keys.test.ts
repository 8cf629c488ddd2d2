import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { KyselyPlugin } from "kysely";
import type { Engine } from "../../src/engine/engine.ts";
import { claimTasks } from "../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../src/store/tapes/journal-statement.ts";
import { openSession } from "../../src/store/session-queries.ts";
import { startEngine } from "../support/engines.ts";
import { kindOf, outcomeOf, start, startRunning, untilStopped } from "../support/engine-tasks.ts";
import { eventually } from "../support/eventually.ts";
import { newSession } from "../support/new-sessions.ts";
import { createTask, SUCCEEDED } from "../support/new-tasks.ts";
import { openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";

const BY_KEY = { exclusiveKey: (params: Record<string, unknown>) => params.key as string };

/** Runs on Postgres only, because several engines share the database. */
describe("tasks with exclusive keys", () => {
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  beforeEach(() => {
    namespace = randomUUID();
  });
  after(() => store?.[Symbol.asyncDispose]());

  /** Returns a kind that records its tasks in the order in which they run. */
  function noted(name = "noted") {
    const order: unknown[] = [];
    const kind = kindOf(name, ({ params }) => Promise.resolve(void order.push(params.number)), BY_KEY);
    return { order, kind };
  }

  /** Returns a kind whose tasks run until the gate opens. */
  function gated(name = "gated") {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf(name, (task) => Promise.race([gate.promise, untilStopped(task.signal)]), BY_KEY);
    return { gate, kind };
  }

  const startAll = async (engine: Engine, kind: string, count: number) => {
    const taskIds: string[] = [];
    for (let number = 0; number < count; number++) {
      taskIds.push(await start(engine, { kind, params: { key: "key", number } }));
    }
    return taskIds;
  };
  const blocked = async () => {
    const { rows } = await sql`select from tasks where namespace = ${namespace} and blocked`.execute(store.db);
    return rows.length;
  };

  it("run in the order of their starts, and the end of one task starts the next without a poll", async function () {
    this.timeout(30_000); // With polls, the test would take over 40 s.
    const { gate, kind: holding } = gated();
    const { order, kind } = noted();
    await using engine = await startEngine(store, { namespace, kinds: [kind, holding] });
    await startRunning(engine, { kind: "gated", params: { key: "key" } });
    const taskIds = await startAll(engine, "noted", 40);
    assert.equal(await blocked(), 40);
    gate.resolve();
    await Promise.all(taskIds.map((taskId) => outcomeOf(engine, taskId)));
    assert.deepEqual(
      order,
      taskIds.map((_, number) => number),
    );
    assert.equal(await blocked(), 0);
  });

  it("continue if the next task is cancelled or passes its deadline", async () => {
    const { gate, kind: holding } = gated();
    const { order, kind } = noted();
    await using engine = await startEngine(store, { namespace, kinds: [kind, holding], slots: 1 });
    const holder = await startRunning(engine, { kind: "gated", params: { key: "key" } });
    const [first, second, third] = await startAll(engine, "noted", 3);
    await engine.cancelTask(first!, { reason: "test", by: null });
    const deadlineAt = new Date(Date.now() + 50);
    const late = await start(engine, { kind: "noted", params: { key: "key", number: "late" }, deadlineAt });
    assert.equal((await outcomeOf(engine, late)).status, "failed");
    gate.resolve();
    for (const taskId of [holder, second!, third!]) assert.equal((await outcomeOf(engine, taskId)).status, "succeeded");
    assert.deepEqual(order, [1, 2]);
  });

  it("continue at another server if the server that ran them is gone or no longer claims", async () => {
    const { kind: holding } = gated();
    const { order, kind } = noted();
    const engine = await startEngine(store, { namespace, kinds: [holding] });
    const holder = await startRunning(engine, { kind: "gated", params: { key: "key" } });
    await using other = await startEngine(store, { namespace, kinds: [kind] });
    const [taskId] = await startAll(other, "noted", 1);
    assert.equal(await blocked(), 1);
    await engine[Symbol.asyncDispose]();
    assert.equal((await outcomeOf(other, holder)).status, "failed");
    assert.equal((await outcomeOf(other, taskId!)).status, "succeeded");
    assert.deepEqual(order, [0]);
  });

  it("begin without a sweep if their key is released before their start is answered", async () => {
    const session = newSession({ namespace, kinds: [], capacity: 1 });
    await openSession(store.db, session);
    const { taskId: holder } = await createTask(store.db, { namespace, kind: "noted", exclusiveKey: "key" });
    const lease = session.sessionId;
    await claimTasks(store.db, { namespace, kinds: ["noted"], lease, limit: 1 });
    const end = { fence: { taskId: holder, lease, attempt: 1 }, appended: 0n, events: [SUCCEEDED] };
    const flushes = new WeakSet<object>();
    let isReleased = false;
    const plugin: KyselyPlugin = {
      transformQuery({ node, queryId }) {
        const text = "sqlFragments" in node ? String(node.sqlFragments[0]) : "";
        if (text.includes("spool_unblock")) throw new Error("no sweep");
        if (text.includes("spool_flush")) flushes.add(queryId);
        return node;
      },
      async transformResult({ result, queryId }) {
        if (flushes.has(queryId) && !isReleased) {
          isReleased = true;
          assert.equal(await blocked(), 1);
          await writeFlush(store.db, { creates: [], appends: [{ ...end, end: "succeeded" }] });
        }
        return result;
      },
    };
    const { kind } = noted();
    const hooked = { ...store, priorityDb: store.priorityDb.withPlugin(plugin) };
    await using engine = await startEngine(hooked, { namespace, kinds: [kind] });
    const [taskId] = await startAll(engine, "noted", 1);
    assert.equal((await outcomeOf(engine, taskId!)).status, "succeeded");
  });

  it("begin within one sweep if their key is free and no server was notified", async () => {
    const { kind } = noted();
    await using engine = await startEngine(store, { namespace, kinds: [kind] });
    const { taskId } = await createTask(store.db, {
      namespace,
      kind: "noted",
      exclusiveKey: "key",
      runAt: new Date(Date.now() + 3_600_000),
    });
    await sql`update tasks set blocked = true, run_at = null where task_id = ${taskId}`.execute(store.db);
    assert.equal((await outcomeOf(engine, taskId)).status, "succeeded");
  });

  it("run one at a time until all have ended, even if two servers compete for a few keys", async function () {
    this.timeout(60_000);
    const running = new Map<string, number>();
    const overlaps: string[] = [];
    const kind = kindOf(
      "hammered",
      async (task) => {
        const key = task.params.key as string;
        running.set(key, (running.get(key) ?? 0) + 1);
        if (running.get(key)! > 1) overlaps.push(key);
        await task.flush();
        running.set(key, running.get(key)! - 1);
        if (task.params.fails === true && task.attempt === 1) throw new Error("again");
      },
      { ...BY_KEY, retry: { maxAttempts: 2, initialBackoffMs: 1, jitter: 0 } },
    );
    await using one = await startEngine(store, { namespace, kinds: [kind], slots: 3 });
    await using two = await startEngine(store, { namespace, kinds: [kind], slots: 3 });
    const engines = [one, two];
    const starts = Array.from({ length: 100 }, async (_, index) => {
      const params = { key: `key-${index % 4}`, fails: index % 7 === 0 };
      const taskId = await start(engines[index % 2]!, { kind: "hammered", params });
      if (index % 11 === 0) await engines[(index + 1) % 2]!.cancelTask(taskId, { reason: "test", by: null });
      return taskId;
    });
    for (const taskId of await Promise.all(starts)) await outcomeOf(one, taskId);
    assert.deepEqual(overlaps, []);
    await eventually(
      async () => {
        const { rows } = await sql`select from task_exclusives where namespace = ${namespace}`.execute(store.db);
        assert.equal(rows.length, 0);
      },
      { describe: "no key is held" },
    );
  });

  it("do not delay a kind without keys, and a long backlog does not delay another kind", async () => {
    const { gate, kind: holding } = gated();
    const { order, kind } = noted();
    const backlog = kindOf("backlog", () => Promise.resolve(void order.push("backlog")));
    const lone = kindOf("lone", () => Promise.resolve(void order.push("lone")));
    await using engine = await startEngine(store, { namespace, kinds: [kind, holding, backlog, lone], slots: 1 });
    const holder = await startRunning(engine, { kind: "gated", params: { key: "key" } });
    const keyed = await startAll(engine, "noted", 10);
    const behind: string[] = [];
    for (let count = 0; count < 10; count++) behind.push(await start(engine, { kind: "backlog" }));
    const taskId = await start(engine, { kind: "lone" });
    gate.resolve();
    for (const id of [holder, ...keyed, ...behind, taskId]) await outcomeOf(engine, id);
    // With one slot, each of three kinds gets its turn before any kind gets its third.
    assert.ok(order.indexOf("lone") < 6, `${order.join()}`);
    const numbers = order.filter((entry) => typeof entry === "number");
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
  });
});
