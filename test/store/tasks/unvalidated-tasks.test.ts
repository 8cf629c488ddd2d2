import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { DEFAULT_RETRY_POLICY } from "../../../src/domain/retry.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { findUnvalidated, releaseValidated } from "../../../src/store/tasks/unvalidated-tasks.ts";
import { createTask } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("unvalidated tasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });
  const create = (options = {}) => createTask(store().db, { namespace, kind: "late", isUnvalidated: true, ...options });
  const find = (kinds = ["late"], limit = 10) => findUnvalidated(store().db, { namespace, kinds, limit });
  const claim = async () => {
    const query = { namespace, kinds: ["late"], lease: randomUUID(), limit: 10 };
    return (await claimTasks(store().db, query)).tasks.map(({ taskId }) => taskId);
  };
  const release = (taskId: string, { exclusiveKey = null as string | null, maxAttempts = 1 } = {}) =>
    releaseValidated(store().db, { taskId, exclusiveKey, maxAttempts, retryPolicy: DEFAULT_RETRY_POLICY });

  it("are found by their kind, the oldest first, with the attempts and retries of their start", async () => {
    const first = await create({ params: { n: 1 }, maxAttempts: 3, retryPolicy: { jitter: 0 } });
    const second = await create();
    await create({ kind: "other" });
    await create({ isUnvalidated: false });
    assert.deepEqual(await find(), [
      { taskId: first.taskId, kind: "late", params: { n: 1 }, asked: { maxAttempts: 3, retryPolicy: { jitter: 0 } } },
      { taskId: second.taskId, kind: "late", params: {}, asked: { maxAttempts: null, retryPolicy: {} } },
    ]);
    assert.equal((await find(["late", "other"])).length, 3);
    assert.equal((await find(["late"], 1)).length, 1);
    namespace = randomUUID();
    assert.deepEqual(await find(), []);
  });

  it("cannot be claimed before they are released, and then with the values of the release", async () => {
    const { taskId } = await create();
    assert.deepEqual(await claim(), []);
    await release(taskId, { exclusiveKey: "key", maxAttempts: 4 });
    assert.deepEqual(await find(), []);
    assert.deepEqual(await claim(), [taskId]);
    const { exclusiveKey, maxAttempts, retryPolicy } = await readTask(store().db, { namespace, taskId });
    assert.deepEqual([exclusiveKey, maxAttempts, retryPolicy], ["key", 4, DEFAULT_RETRY_POLICY]);
  });

  it("are released once: a second release changes nothing, nor does one after the task was claimed", async () => {
    const { taskId } = await create();
    await release(taskId, { exclusiveKey: "first" });
    await release(taskId, { exclusiveKey: "second" });
    assert.equal((await readTask(store().db, { namespace, taskId })).exclusiveKey, "first");
    assert.deepEqual(await claim(), [taskId]);
    await release(taskId, { exclusiveKey: "third", maxAttempts: 9 });
    const { exclusiveKey, maxAttempts } = await readTask(store().db, { namespace, taskId });
    assert.deepEqual([exclusiveKey, maxAttempts], ["first", 1]);
  });

  it("that get the same key run one by one", async () => {
    const taskIds = [(await create()).taskId, (await create()).taskId];
    for (const taskId of taskIds) await release(taskId, { exclusiveKey: "key" });
    assert.deepEqual(await claim(), [taskIds[0]]);
    assert.deepEqual(await claim(), []);
  });
});
