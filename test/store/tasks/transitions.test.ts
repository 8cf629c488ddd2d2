import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Transaction } from "kysely";
import { expire, requestCancel, stopAttempt } from "../../../src/domain/lifecycle.ts";
import type { Fence } from "../../../src/domain/task.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import type { Database } from "../../../src/store/schema.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask, readClock, writeTransitions } from "../../../src/store/tasks/transitions.ts";
import type { LockedTasks } from "../../../src/store/tasks/transitions.ts";
import { createRunning, createTask, outline, steps, storedTape } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";
import type { Decide } from "../decisions.ts";

const MINUTE_MS = 60_000;

const ask: Decide = (task) => requestCancel(task, { reason: "enough", by: null });
const requeue: Decide = (task, moment) => stopAttempt(task, "lost", moment);
const handOver: Decide = (task, moment) => stopAttempt(task, "handover", moment);
const cancel: Decide = (task, moment) => stopAttempt(task, "cancel", moment);
/** What ends a task that waits. */
const withdraw: Decide = (task) => requestCancel(task, { reason: "not wanted", by: null });

describeOnEachStore("transitions", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const running = (options = {}) => createRunning(db(), { namespace, timeoutMs: MINUTE_MS, ...options });
  const waiting = (options = {}) => createTask(db(), { namespace, ...options });
  const read = ({ taskId }: { taskId: string }) => readTask(db(), { namespace, taskId });
  const tapeOf = ({ taskId }: { taskId: string }) => storedTape(db(), { namespace, taskId });
  const append = (fence: Fence, count: number) =>
    writeFlush(db(), { creates: [], appends: [{ fence, appended: 0n, events: steps(1, count), end: null }] });
  /** A running task that holds its key. */
  const holding = async (exclusiveKey: string): Promise<Fence> => {
    const { taskId } = await waiting({ exclusiveKey, kind: exclusiveKey, maxAttempts: 2 });
    const lease = randomUUID();
    await claimTasks(db(), { namespace, kinds: [exclusiveKey], lease, limit: 1 });
    return { taskId, lease, attempt: 1 };
  };
  const holders = async () => {
    const rows = await db().selectFrom("task_exclusives").selectAll().where("namespace", "=", namespace).execute();
    return new Map(rows.map((row) => [row.exclusive_key, row.task_id]));
  };
  const lockAll = async (trx: Transaction<Database>, tasks: readonly { taskId: string }[]): Promise<LockedTasks> => {
    const locked = [];
    for (const { taskId } of tasks) locked.push(...(await lockTask(trx, { namespace, taskId })).tasks);
    return { tasks: locked, at: await readClock(trx) };
  };
  /** Decides on each task by itself, all of it in one batch. */
  const change = (decisions: readonly [task: { taskId: string }, decide: Decide][]) =>
    db()
      .transaction()
      .execute(async (trx) => {
        const locked = await lockAll(
          trx,
          decisions.map(([task]) => task),
        );
        const deciders = new Map(decisions.map(([{ taskId }, decide]) => [taskId, decide]));
        const changed = await decideOn(trx, locked, (task, moment) => deciders.get(task.taskId)!(task, moment));
        return { at: locked.at, before: locked.tasks, changed };
      });

  it("of every type are written in one batch: each row, with its event at the end of the tape", async () => {
    const runAt = new Date(Date.now() - MINUTE_MS);
    const [asked, requeued] = [await running(), await running({ maxAttempts: 2 })];
    const [handedOver, ended] = [await running({ runAt }), await running({ runAt })];
    const withdrawn = await waiting();
    await append(requeued, 3);
    const all = [asked, requeued, handedOver, ended, withdrawn];
    const { at, before, changed } = await change([
      [asked, ask],
      [requeued, requeue],
      [handedOver, handOver],
      [ended, cancel],
      [withdrawn, withdraw],
    ]);
    const left = { lease: null, attemptDeadlineAt: null };
    assert.deepEqual(changed, [
      { ...before[0], cancelRequestedAt: at, cancelReason: "enough", lastSeq: 2n },
      { ...before[1], ...left, status: "pending", runAt: new Date(at.getTime() + 1_000), lastSeq: 5n },
      { ...before[2], ...left, status: "pending", runAt: at, handovers: 1, lastSeq: 2n },
      { ...before[3], ...left, status: "cancelled", finishedAt: at, lastSeq: 2n },
      { ...before[4], ...left, status: "cancelled", finishedAt: at, lastSeq: 1n },
    ]);
    assert.deepEqual(await Promise.all(all.map(read)), changed);
    const tapes = await Promise.all(all.map(tapeOf));
    assert.deepEqual(tapes.map(outline), [
      ["started", "cancel_requested"],
      ["started", 1, 2, 3, "retrying"],
      ["started", "retrying"],
      ["started", "final"],
      ["final"],
    ]);
    for (const tape of tapes) assert.deepEqual(tape.at(-1)!.time, at);
    const bodies = tapes.map((tape) => JSON.parse(tape.at(-1)!.body) as Record<string, unknown>);
    assert.deepEqual(bodies[0], { reason: "enough" });
    assert.equal(bodies[1]!.next_attempt_at, changed[1]!.runAt!.toISOString());
    assert.deepEqual([bodies[3]!.status, bodies[4]!.status], ["cancelled", "cancelled"]);
  });

  it("release the exclusive keys of tasks that stop running, and no other keys", async () => {
    const [asked, requeued, handedOver, ended, untouched] = [
      await holding("asked"),
      await holding("requeued"),
      await holding("handed over"),
      await holding("ended"),
      await holding("untouched"),
    ];
    const inTurn = await waiting({ exclusiveKey: "untouched" });
    await change([
      [asked, ask],
      [requeued, requeue],
      [handedOver, handOver],
      [ended, cancel],
      [inTurn, withdraw],
    ]);
    assert.deepEqual(
      await holders(),
      new Map([
        ["asked", asked.taskId],
        ["untouched", untouched.taskId],
      ]),
    );
  });

  it("count each handover, and clear the attempt's deadline and lease", async () => {
    const { taskId } = await waiting({ timeoutMs: MINUTE_MS });
    for (let count = 1; count <= 3; count++) {
      const { tasks } = await claimTasks(db(), { namespace, kinds: ["echo"], lease: randomUUID(), limit: 1 });
      assert.deepEqual([tasks[0]?.attempt, tasks[0]?.handovers], [count, count - 1]);
      assert.ok(tasks[0]?.attemptDeadlineAt);
      await change([[tasks[0], handOver]]);
      const stored = await read({ taskId });
      assert.deepEqual([stored.handovers, stored.lease, stored.attemptDeadlineAt], [count, null, null]);
    }
    const { tasks } = await claimTasks(db(), { namespace, kinds: ["echo"], lease: randomUUID(), limit: 1 });
    await change([[tasks[0]!, requeue]]);
    const { status, handovers, attempt } = await read({ taskId });
    assert.deepEqual([status, handovers, attempt], ["failed", 3, 4]);
  });

  it("end a task that has waited past its deadline", async () => {
    const deadlineAt = new Date(Date.now() - MINUTE_MS);
    const task = await waiting({ deadlineAt });
    const { at, changed } = await change([[task, expire]]);
    assert.deepEqual([changed[0]?.status, changed[0]?.finishedAt, changed[0]?.deadlineAt], ["failed", at, deadlineAt]);
    assert.deepEqual(outline(await tapeOf(task)), ["final"]);
  });

  it("return the params that were read with the lock, and null if none were read", async () => {
    const [one, two] = [await running({ params: { a: 1 } }), await running({ params: { a: 2 } })];
    const params = await db()
      .transaction()
      .execute(async (trx) => {
        const { tasks, at } = await lockAll(trx, [one, two]);
        const locked = [tasks[0]!, { ...tasks[1]!, params: null }];
        return (await decideOn(trx, { tasks: locked, at }, ask)).map((task) => task.params);
      });
    assert.deepEqual(params, [{ a: 1 }, null]);
  });

  it("are all refused if a row differs from the locked one", async () => {
    const [good, bad] = [await holding("good"), await holding("bad")];
    for (const wrong of [{ status: "pending" as const }, { attempt: 2 }, { attempt: 0 }, { taskId: randomUUID() }]) {
      const write = db()
        .transaction()
        .execute(async (trx) => {
          const { tasks, at } = await lockAll(trx, [good, bad]);
          const changes = tasks.map((task) => ({ task, transition: cancel(task, { at, random: 0 }) }));
          const [one, two] = changes as Parameters<typeof writeTransitions>[1][number][];
          await writeTransitions(trx, [one!, { ...two!, task: { ...two!.task, ...wrong } }], at);
        });
      await assert.rejects(write, { message: /was changed although it was locked$/ });
    }
    for (const task of [good, bad]) {
      assert.deepEqual(outline(await tapeOf(task)), ["started"]);
      assert.equal((await read(task)).status, "running");
    }
    assert.equal((await holders()).size, 2);
  });

  it("need a task that exists in the namespace", async () => {
    const fence = await running();
    const lock = (query: { namespace: string; taskId: string }) =>
      db()
        .transaction()
        .execute((trx) => lockTask(trx, query));
    const { tasks, at } = await lock({ namespace, taskId: fence.taskId });
    assert.deepEqual(tasks, [await read(fence)]);
    assert.ok(at >= tasks[0]!.startedAt!);
    for (const query of [
      { namespace: randomUUID(), taskId: fence.taskId },
      { namespace, taskId: randomUUID() },
    ]) {
      await assert.rejects(lock(query), { reason: "TASK_NOT_FOUND" });
    }
  });
});
