import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { TaskExpired } from "../../../src/domain/errors.ts";
import type { RetainedKinds } from "../../../src/domain/retention.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import {
  FIRST_ENDED,
  removeDueRetained,
  removeDueTasks,
  TAPE_EVENTS_MAX,
  TAPE_PACKED_MAX,
} from "../../../src/store/tasks/due-removals.ts";
import type { EndedPlace, RemovalBounds } from "../../../src/store/tasks/due-removals.ts";
import { packNextTapes } from "../../../src/store/tapes/packing.ts";
import { deleteRemovedEvents, findRemoved, removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { readTask, readTaskByRequest } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { inHeldTransaction } from "../../support/held-transaction.ts";
import { createEnded as storeEnded, createRunning, createTask, newTask } from "../../support/new-tasks.ts";
import { describeOnEachStore, openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import type { Store } from "../../../src/store/database.ts";

const HOUR_MS = 60 * 60_000;
const ALL: RetainedKinds = { retentionMs: HOUR_MS, isOnly: false, kinds: [] };
const BOUNDS: RemovalBounds = { rows: 100, tasks: 50, events: 5_000 };

let namespace: string;
beforeEach(() => {
  namespace = randomUUID();
});

function createEnded(store: Store, options: Omit<Parameters<typeof storeEnded>[1], "namespace">): Promise<string> {
  return storeEnded(store.db, { namespace, ...options });
}

async function storedEvents({ db }: Store, taskId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from task_events where task_id = ${taskId}::uuid`.execute(db);
  return rows[0]!.count;
}

function removeDue({ db }: Store, options: Partial<Parameters<typeof removeDueTasks>[1]> = {}) {
  return removeDueTasks(db, { namespace, retained: ALL, from: FIRST_ENDED, bounds: BOUNDS, ...options });
}

function removeRetained({ db }: Store, options: Partial<Parameters<typeof removeDueRetained>[1]> = {}) {
  return removeDueRetained(db, { namespace, after: null, retentions: 10, bounds: BOUNDS, ...options });
}

const idsOf = (removed: { taskId: string }[]) => removed.map(({ taskId }) => taskId).sort();

describeOnEachStore("the removal of due tasks", (store) => {
  it("removes tasks after their retention, with marker, events and request_id, and no other task", async () => {
    const requestId = randomUUID();
    const due = await createEnded(store(), { agoMs: HOUR_MS + 1_000, events: 4, requestId });
    const early = await createEnded(store(), { agoMs: HOUR_MS - 60_000, requestId: randomUUID() });
    const running = await createRunning(store().db, { namespace });
    const waiting = await createTask(store().db, { namespace });
    assert.deepEqual((await removeDue(store())).removed, [{ taskId: due, kind: "echo" }]);
    for (const { taskId } of [{ taskId: early }, running, waiting]) await readTask(store().db, { namespace, taskId });
    assert.deepEqual(await findRemoved(store().db, [due, early]), new Set([due]));
    assert.deepEqual([await storedEvents(store(), due), await storedEvents(store(), early)], [0, 2]);
    assert.equal(await readTaskByRequest(store().db, { namespace, requestId }), undefined);
    const again = await createTask(store().db, { namespace, requestId });
    assert.equal((await readTaskByRequest(store().db, { namespace, requestId }))?.taskId, again.taskId);
    assert.equal(await deleteRemovedEvents(store().db, { namespace, limit: 100 }), null, "no events are left");
  });

  it("keeps a request_id that has started another task", async () => {
    const requestId = randomUUID();
    await createEnded(store(), { agoMs: 2 * HOUR_MS, requestId });
    const other = await createTask(store().db, { namespace });
    await sql`update task_requests set task_id = ${other.taskId}::uuid
      where namespace = ${namespace} and request_id = ${requestId}`.execute(store().db);
    assert.equal((await removeDue(store())).removed.length, 1);
    assert.equal((await readTaskByRequest(store().db, { namespace, requestId }))?.taskId, other.taskId);
  });

  it("leaves the events of a longer tape to the removal sweeper", async () => {
    const short = await createEnded(store(), { agoMs: 2 * HOUR_MS, events: TAPE_EVENTS_MAX });
    const long = await createEnded(store(), { agoMs: 2 * HOUR_MS, events: TAPE_EVENTS_MAX + 1 });
    assert.deepEqual(idsOf((await removeDue(store())).removed), [short, long].sort());
    assert.deepEqual([await storedEvents(store(), short), await storedEvents(store(), long)], [0, TAPE_EVENTS_MAX + 1]);
    assert.equal(await deleteRemovedEvents(store().db, { namespace, limit: 5_000 }), TAPE_EVENTS_MAX + 1);
  });

  it("removes a packed tape with its packs, and leaves a very long one to the removal sweeper", async () => {
    const agoMs = HOUR_MS + 1_000;
    const due = await createEnded(store(), { agoMs, events: 3 * TAPE_EVENTS_MAX });
    while ((await packNextTapes(store().db, { namespace, afterMs: 0 })).hasMore);
    const long = await createEnded(store(), { agoMs, events: 60 });
    await sql`update tasks set packed_seq = ${TAPE_PACKED_MAX}::int + 1, last_seq = ${TAPE_PACKED_MAX}::int + 2
      where task_id = ${long}::uuid`.execute(store().db);
    assert.equal((await removeDue(store())).removed.length, 2);
    const { rows } = await sql`select from packed_events where task_id = ${due}::uuid`.execute(store().db);
    assert.deepEqual([rows, await storedEvents(store(), due)], [[], 0]);
    assert.equal(await storedEvents(store(), long), 60);
    assert.equal(await deleteRemovedEvents(store().db, { namespace, limit: 100 }), 60);
  });

  it("removes the tasks of some kinds, or of all but some, and none with a retention of its own", async () => {
    const agoMs = 2 * HOUR_MS;
    const [ingest, audit, echo] = await Promise.all([
      createEnded(store(), { agoMs, kind: "ingest" }),
      createEnded(store(), { agoMs, kind: "audit" }),
      createEnded(store(), { agoMs }),
      createEnded(store(), { agoMs, retentionMs: 3 * HOUR_MS }),
    ]);
    const only = await removeDue(store(), { retained: { ...ALL, isOnly: true, kinds: ["ingest"] } });
    assert.deepEqual(idsOf(only.removed), [ingest]);
    const others = await removeDue(store(), { retained: { ...ALL, kinds: ["audit"] } });
    assert.deepEqual(idsOf(others.removed), [echo]);
    await readTask(store().db, { namespace, taskId: audit });
    assert.deepEqual((await removeRetained(store())).removed, []);
  });

  it("removes at most as many tasks and events as the bounds say, the tasks that ended first", async () => {
    const taskIds: string[] = [];
    for (let count = 0; count < 6; count++) {
      taskIds.push(await createEnded(store(), { agoMs: 2 * HOUR_MS - count * 1_000, events: 400 }));
    }
    const byEvents = await removeDue(store(), { bounds: { ...BOUNDS, events: 1_000 } });
    assert.deepEqual(idsOf(byEvents.removed), taskIds.slice(0, 2).sort());
    assert.ok(byEvents.hasMore && Math.abs(byEvents.overdue!.overdueMs - (HOUR_MS - 2_000)) < 60_000);
    const byTasks = await removeDue(store(), { from: byEvents.next, bounds: { ...BOUNDS, tasks: 3 } });
    assert.deepEqual(idsOf(byTasks.removed), taskIds.slice(2, 5).sort());
    const last = await removeDue(store(), { from: byTasks.next });
    assert.deepEqual([idsOf(last.removed), last.hasMore, last.overdue], [[taskIds[5]], false, null]);
  });

  it("reads tasks that are kept once, and settles no place of the last minute", async () => {
    for (let count = 0; count < 5; count++) await createEnded(store(), { agoMs: 2 * HOUR_MS - count, kind: "audit" });
    const last = await createEnded(store(), { agoMs: 1.5 * HOUR_MS });
    const retained = { ...ALL, kinds: ["audit"] };
    const bounds = { ...BOUNDS, rows: 3 };
    const first = await removeDue(store(), { retained, bounds });
    assert.deepEqual([first.removed, first.hasMore, first.settled], [[], true, first.next]);
    const second = await removeDue(store(), { retained, bounds, from: first.next });
    assert.deepEqual([idsOf(second.removed), second.hasMore], [[last], true]);
    const third = await removeDue(store(), { retained, bounds, from: second.next });
    assert.deepEqual([third.removed, third.hasMore, third.next], [[], false, second.next]);
    const recent = await createEnded(store(), { agoMs: 30_000, kind: "audit" });
    const soon = await removeDue(store(), { retained: { ...retained, retentionMs: 1_000 }, from: second.next });
    assert.deepEqual([soon.next.taskId, soon.settled], [recent, null]);
  });

  it("finds every due task by a walk in batches of any size, and only these", async () => {
    const due = new Set<string>();
    for (let count = 0; count < 40; count++) {
      const isDue = count % 3 !== 0;
      // Several tasks end at the same time, as in one flush.
      const agoMs = 2 * HOUR_MS - Math.floor(count / 4) * 1_000;
      const taskId = await createEnded(store(), { agoMs, kind: isDue ? "echo" : "audit", events: 2 + (count % 5) });
      if (isDue) due.add(taskId);
    }
    const retained = { ...ALL, kinds: ["audit"] };
    const removed: string[] = [];
    let from: EndedPlace = FIRST_ENDED;
    for (let batch = 0, hasMore = true; hasMore; batch++) {
      assert.ok(batch < 200);
      const bounds = { rows: 1 + (batch % 7), tasks: 1 + (batch % 4), events: TAPE_EVENTS_MAX };
      const removals = await removeDue(store(), { retained, from, bounds });
      removed.push(...idsOf(removals.removed));
      ({ next: from, hasMore } = removals);
    }
    assert.deepEqual(removed.sort(), [...due].sort());
  });

  it("removes tasks after their own retention, one retention after the other", async () => {
    const agoMs = 2 * HOUR_MS;
    const due: string[] = [];
    for (const retentionMs of [1_000, 60_000, HOUR_MS]) {
      due.push(await createEnded(store(), { agoMs, retentionMs }), await createEnded(store(), { agoMs, retentionMs }));
    }
    const early = await createEnded(store(), { agoMs, retentionMs: 2 * HOUR_MS + 60_000 });
    const removed: string[] = [];
    let after: number | null = null;
    for (let batch = 0, hasMore = true; hasMore; batch++) {
      assert.ok(batch < 50);
      const removals = await removeRetained(store(), {
        after,
        retentions: 2,
        bounds: { ...BOUNDS, rows: 3, tasks: 1 },
      });
      assert.ok(removals.removed.length <= 1);
      removed.push(...idsOf(removals.removed));
      ({ after, hasMore } = removals);
    }
    assert.deepEqual(removed.sort(), due.sort());
    assert.equal(after, null);
    await readTask(store().db, { namespace, taskId: early });
  });

  it("says by how much the oldest task with a retention of its own is overdue", async () => {
    await createEnded(store(), { agoMs: 2 * HOUR_MS, retentionMs: 1_000 });
    await createEnded(store(), { agoMs: 4 * HOUR_MS, retentionMs: HOUR_MS });
    const { overdue } = await removeRetained(store(), { bounds: { ...BOUNDS, tasks: 1 } });
    assert.equal(overdue!.retentionMs, HOUR_MS);
    assert.ok(Math.abs(overdue!.overdueMs - 3 * HOUR_MS) < 60_000);
  });
});

/** Only a server has connections that can stand in each other's way. */
describe("on Postgres, concurrent removals of due tasks", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("skip a locked task without waiting, and come back to it", async () => {
    const held = await createEnded(store, { agoMs: 3 * HOUR_MS });
    const free = await createEnded(store, { agoMs: 2 * HOUR_MS });
    const { next } = await inHeldTransaction(store.db, async (trx) => {
      await lockTask(trx, { namespace, taskId: held });
      const removals = await removeDue(store);
      assert.deepEqual(idsOf(removals.removed), [free]);
      const idle = await removeDue(store, { from: removals.next });
      assert.deepEqual([idle.removed, idle.hasMore], [[], false]);
      return removals;
    });
    assert.deepEqual(idsOf((await removeDue(store, { from: next })).removed), [held]);
  });

  it("remove each task once, and share the tasks", async () => {
    const taskIds: string[] = [];
    for (let count = 0; count < 60; count++) taskIds.push(await createEnded(store, { agoMs: 2 * HOUR_MS - count }));
    const removed: string[] = [];
    const sweep = async () => {
      let from = FIRST_ENDED;
      while (removed.length < taskIds.length) {
        const removals = await removeDue(store, { from, bounds: { ...BOUNDS, tasks: 7 } });
        removed.push(...idsOf(removals.removed));
        from = removals.next;
      }
    };
    await Promise.all([sweep(), sweep(), sweep()]);
    assert.deepEqual(removed.sort(), taskIds.sort());
  });

  it("are in no deadlock with callers that delete the same tasks and repeat their starts", async () => {
    const requestIds = Array.from({ length: 60 }, () => randomUUID());
    const taskIds: string[] = [];
    for (const requestId of requestIds) taskIds.push(await createEnded(store, { agoMs: 2 * HOUR_MS, requestId }));
    const removed: string[] = [];
    const sweep = async () => {
      for (let from = FIRST_ENDED, hasMore = true; hasMore;) {
        const removals = await removeDue(store, { from, bounds: { ...BOUNDS, tasks: 7 } });
        removed.push(...idsOf(removals.removed));
        ({ next: from, hasMore } = removals);
      }
    };
    const deleteOne = (taskId: string) =>
      store.db.transaction().execute(async (trx) => {
        const { tasks } = await lockTask(trx, { namespace, taskId });
        await removeTask(trx, namespace, tasks[0]!);
        removed.push(taskId);
      });
    const deleteAll = async () => {
      for (const taskId of taskIds.toReversed()) {
        await deleteOne(taskId).catch((error: unknown) => assert.ok(error instanceof TaskExpired, String(error)));
      }
    };
    const repeatStarts = async () => {
      for (const requestId of requestIds) {
        const task = newTask({ namespace, requestId });
        await writeFlush(store.db, { creates: [{ task, events: [] }], appends: [] });
      }
    };
    await Promise.all([sweep(), sweep(), deleteAll(), repeatStarts()]);
    assert.deepEqual(removed.sort(), taskIds.sort());
    await repeatStarts();
    for (const requestId of requestIds) {
      assert.equal((await readTaskByRequest(store.db, { namespace, requestId }))?.status, "pending");
    }
  });

  it("leave no packs behind while tapes are packed", async () => {
    const taskIds: string[] = [];
    for (let index = 0; index < 60; index++) taskIds.push(await createEnded(store, { agoMs: 2 * HOUR_MS, events: 60 }));
    const packing = async () => {
      while ((await packNextTapes(store.db, { namespace, afterMs: 0 })).hasMore);
    };
    const sweep = async () => {
      for (let left = taskIds.length; left > 0;) {
        await removeDue(store, { bounds: { ...BOUNDS, tasks: 5 } });
        left = taskIds.length - (await findRemoved(store.db, taskIds)).size;
      }
    };
    await Promise.all([packing(), sweep(), packing(), sweep()]);
    for (const table of ["packed_events", "task_events"]) {
      const { rows } = await sql`select from ${sql.table(table)} where task_id = any(${taskIds}::uuid[])`.execute(
        store.db,
      );
      assert.equal(rows.length, 0, table);
    }
  });
});
