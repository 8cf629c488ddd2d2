import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { REMOVED_MS } from "../../../src/domain/limits.ts";
import type { Fence } from "../../../src/domain/task.ts";
import { readPage, readRanges } from "../../../src/store/tapes/event-queries.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import {
  deleteExpiredMarkers,
  deleteRemovedEvents,
  findRemoved,
  missingTask,
  removeTask,
} from "../../../src/store/tasks/removed-tasks.ts";
import { readTask, readTaskByRequest } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, createTask, steps, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a removed task", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  async function createEnded(events: number, options: { requestId?: string } = {}): Promise<string> {
    const fence = await createRunning(store().db, { namespace, ...options });
    await append(fence, events);
    return fence.taskId;
  }

  /** Appends steps and the end. With `started`, the tape has two events more. */
  function append(fence: Fence, events: number) {
    const append = { fence, appended: 0n, events: [...steps(1, events), SUCCEEDED], end: "succeeded" } as const;
    return writeFlush(store().db, { creates: [], appends: [append] });
  }

  function remove(taskId: string): Promise<void> {
    return store()
      .db.transaction()
      .execute(async (trx) => {
        const { tasks } = await lockTask(trx, { namespace, taskId });
        await removeTask(trx, namespace, tasks[0]!);
      });
  }

  async function storedEvents(taskId: string): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from task_events where task_id = ${taskId}::uuid`.execute(store().db);
    return rows[0]!.count;
  }

  const batch = (limit: number) => deleteRemovedEvents(store().db, { namespace, limit });

  const age = (taskId: string, ms: number) =>
    sql`update removed_tasks set removed_at = now() - ${ms}::bigint * interval '1 millisecond'
        where task_id = ${taskId}::uuid`.execute(store().db);

  it("is missing for every statement at once, with the time of its removal", async () => {
    const taskId = await createEnded(3);
    const other = await createEnded(1);
    const before = Date.now();
    await remove(taskId);
    const expired = { reason: "TASK_EXPIRED", metadata: { task_id: taskId } };
    const error = await missingTask(store().db, { namespace, taskId });
    assert.ok(Math.abs(Date.parse(error.metadata["removed_at"]!) - before) < 60_000);
    const { removed_at: removedAt } = error.metadata;
    expired.metadata = { task_id: taskId, removed_at: removedAt } as typeof expired.metadata;
    await assert.rejects(readTask(store().db, { namespace, taskId }), expired);
    await assert.rejects(readPage(store().db, { namespace, taskId, fromSeq: 1n, limit: 10 }), expired);
    await assert.rejects(remove(taskId), expired);
    assert.equal(await storedEvents(taskId), 5);
    const range = { fromSeq: 1n, toSeq: 2n };
    const ranges = await readRanges(store().db, {
      namespace,
      ranges: [
        { taskId, ...range },
        { taskId: other, ...range },
      ],
    });
    assert.deepEqual(
      ranges.map(({ length }) => length),
      [0, 2],
    );
    assert.deepEqual(await findRemoved(store().db, [taskId, other]), new Set([taskId]));
  });

  it("is unknown in another namespace", async () => {
    const taskId = await createEnded(1);
    await remove(taskId);
    assert.equal((await missingTask(store().db, { namespace: randomUUID(), taskId })).reason, "TASK_NOT_FOUND");
  });

  it("leaves its request_id to a new task", async () => {
    const requestId = randomUUID();
    const taskId = await createEnded(1, { requestId });
    await remove(taskId);
    assert.equal(await readTaskByRequest(store().db, { namespace, requestId }), undefined);
    const again = await createTask(store().db, { namespace, requestId });
    assert.equal((await readTaskByRequest(store().db, { namespace, requestId }))?.taskId, again.taskId);
  });

  it("stays if it has not ended", async () => {
    const { taskId } = await createRunning(store().db, { namespace });
    await remove(taskId);
    assert.equal((await readTask(store().db, { namespace, taskId })).status, "running");
  });

  it("takes no late append of an owner that lost it", async () => {
    const fence = await createRunning(store().db, { namespace });
    await append(fence, 1);
    await remove(fence.taskId);
    const late = { fence, appended: 0n, events: steps(1, 5), end: null };
    assert.deepEqual((await writeFlush(store().db, { creates: [], appends: [late] })).applied, []);
    assert.equal(await storedEvents(fence.taskId), 3);
  });

  it("loses its events in batches, and its marker says when none is left", async () => {
    const taskId = await createEnded(8);
    const kept = await createEnded(8);
    await remove(taskId);
    assert.equal(await batch(4), 4);
    assert.deepEqual([await storedEvents(taskId), await batch(4), await storedEvents(taskId)], [6, 4, 2]);
    assert.deepEqual([await batch(4), await storedEvents(taskId), await batch(4)], [2, 0, null]);
    assert.equal(await storedEvents(kept), 10);
  });

  it("is finished after a batch that emptied it exactly", async () => {
    const taskId = await createEnded(2);
    await remove(taskId);
    assert.deepEqual([await batch(4), await batch(4), await batch(4)], [4, 0, null]);
    assert.equal(await storedEvents(taskId), 0);
  });

  it("loses its marker after 7 days, and not before its events are deleted", async () => {
    const taskIds = await Promise.all([createEnded(1), createEnded(1), createEnded(1)]);
    const [young, old, unfinished] = taskIds as [string, string, string];
    await remove(young);
    await remove(old);
    while ((await batch(100)) !== null);
    await remove(unfinished);
    await age(young, REMOVED_MS - 60_000);
    await age(old, REMOVED_MS + 1_000);
    await age(unfinished, REMOVED_MS + 1_000);
    const expire = () => deleteExpiredMarkers(store().db, { namespace, limit: 10 });
    assert.equal(await expire(), 1);
    assert.deepEqual(await findRemoved(store().db, taskIds), new Set([young, unfinished]));
    assert.equal((await missingTask(store().db, { namespace, taskId: old })).reason, "TASK_NOT_FOUND");
    while ((await batch(100)) !== null);
    assert.deepEqual([await expire(), await expire()], [1, 0]);
  });

  it("loses at most as many markers at once as the limit", async () => {
    for (let count = 0; count < 3; count++) {
      const taskId = await createEnded(1);
      await remove(taskId);
      await age(taskId, REMOVED_MS + 1_000);
    }
    while ((await batch(100)) !== null);
    const expire = () => deleteExpiredMarkers(store().db, { namespace, limit: 2 });
    assert.deepEqual([await expire(), await expire(), await expire()], [2, 1, 0]);
  });
});
