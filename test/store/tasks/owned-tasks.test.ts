import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { requestCancel, stopAttempt } from "../../../src/domain/lifecycle.ts";
import type { Fence } from "../../../src/domain/task.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { findOwnedTasks, readOwnedTask } from "../../../src/store/tasks/owned-tasks.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, createTask, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";
import type { Decide } from "../decisions.ts";

describeOnEachStore("a task that a session owns", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const running = (options = {}) => createRunning(db(), { namespace, ...options });
  const change = ({ taskId }: { taskId: string }, decide: Decide) =>
    db()
      .transaction()
      .execute(async (trx) => decideOn(trx, await lockTask(trx, { namespace, taskId }), decide));
  const end = (fence: Fence) =>
    writeFlush(db(), { creates: [], appends: [{ fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" }] });
  const read = async (fence: Fence) => (await readOwnedTask(db(), fence))?.task;

  it("is found with its attempt, and with the time of its cancel request", async () => {
    const lease = randomUUID();
    const [one, two, ended] = [await running({ lease }), await running({ lease }), await running({ lease })];
    await running();
    await createTask(db(), { namespace });
    await change(two, (task) => requestCancel(task, { reason: "enough", by: null }));
    await end(ended);
    const owned = await findOwnedTasks(db(), lease);
    const asked = new Map(
      owned.map(({ taskId, attempt, cancelRequestedAt }) => [taskId, [attempt, cancelRequestedAt !== null]]),
    );
    assert.deepEqual(
      asked,
      new Map([
        [one.taskId, [1, false]],
        [two.taskId, [1, true]],
      ]),
    );
    assert.deepEqual(await findOwnedTasks(db(), randomUUID()), []);
  });

  it("is read by the attempt that owns it, with all fields and the current time", async () => {
    const fence = await running({ params: { a: 1 }, timeoutMs: 1_500 });
    const { task, at } = (await readOwnedTask(db(), fence))!;
    assert.deepEqual(task, await readTask(db(), { namespace, taskId: fence.taskId }));
    assert.deepEqual([task.params, task.lease, task.attempt], [{ a: 1 }, fence.lease, fence.attempt]);
    assert.ok(at >= task.startedAt!);
    await change(fence, (running) => requestCancel(running, { reason: "enough", by: null }));
    assert.equal((await read(fence))?.cancelReason, "enough");
  });

  it("is not read by another session or attempt, or under an unknown id", async () => {
    const fence = await running();
    assert.equal(await read({ ...fence, lease: randomUUID() }), undefined);
    for (const attempt of [0, 2]) assert.equal(await read({ ...fence, attempt }), undefined);
    assert.equal(await read({ ...fence, taskId: randomUUID() }), undefined);
    assert.ok(await read(fence));
  });

  it("is no longer owned by its attempt after it has ended, been requeued, or been claimed again by the same session", async () => {
    const [ended, sentBack] = [await running(), await running({ maxAttempts: 2 })];
    await end(ended);
    assert.equal(await read(ended), undefined);
    await change(sentBack, (task, moment) => stopAttempt(task, "handover", moment));
    assert.equal(await read(sentBack), undefined);
    const { lease } = sentBack;
    const { tasks } = await claimTasks(db(), { namespace, kinds: ["echo"], lease, limit: 1 });
    assert.deepEqual([tasks[0]?.taskId, tasks[0]?.attempt], [sentBack.taskId, 2]);
    assert.equal(await read(sentBack), undefined);
    assert.deepEqual(await read({ ...sentBack, attempt: 2 }), tasks[0]);
  });
});
