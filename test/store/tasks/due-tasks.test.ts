import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { RetainedKinds } from "../../../src/domain/retention.ts";
import type { Store } from "../../../src/store/database.ts";
import { FIRST_ENDED } from "../../../src/store/tasks/due-removals.ts";
import type { EndedPlace, RemovalBounds } from "../../../src/store/tasks/due-removals.ts";
import { findDueRetained, findDueTasks, removeFound } from "../../../src/store/tasks/due-tasks.ts";
import type { DueTask } from "../../../src/store/tasks/due-tasks.ts";
import { withExportLock } from "../../../src/store/tasks/export-lock.ts";
import { findRemoved } from "../../../src/store/tasks/removed-tasks.ts";
import { eventually } from "../../support/eventually.ts";
import { createEnded as storeEnded, createRunning } from "../../support/new-tasks.ts";
import { describeOnEachStore, openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

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

const idsOf = (tasks: readonly { taskId: string }[]) => tasks.map(({ taskId }) => taskId);

describeOnEachStore("the search for due tasks", (store) => {
  it("finds tasks after their retention and removes none, and no task with a retention of its own", async () => {
    const due = await createEnded(store(), { agoMs: HOUR_MS + 5_000, events: 4 });
    await createEnded(store(), { agoMs: HOUR_MS - 60_000 });
    await createEnded(store(), { agoMs: 2 * HOUR_MS, retentionMs: 1_000 });
    await createEnded(store(), { agoMs: 2 * HOUR_MS, kind: "audit" });
    await createRunning(store().db, { namespace });
    const query = { namespace, retained: { ...ALL, kinds: ["audit"] }, from: FIRST_ENDED, rows: 100 };
    const found = await findDueTasks(store().db, query);
    assert.deepEqual([idsOf(found.due), found.next], [[due], null]);
    const [{ lastSeq, retentionMs, overdueMs }] = found.due as [DueTask];
    assert.deepEqual([lastSeq, retentionMs], [4n, HOUR_MS]);
    assert.ok(overdueMs >= 5_000 && overdueMs < 60_000);
    assert.equal(found.settled!.taskId, due);
    assert.equal((await findRemoved(store().db, [due])).size, 0);
  });

  it("finds every due task by a walk in pages of any size, those that ended first first", async () => {
    const due: string[] = [];
    for (let count = 0; count < 20; count++) {
      const kind = count % 3 === 0 ? "audit" : "echo";
      const taskId = await createEnded(store(), { agoMs: 2 * HOUR_MS - count * 1_000, kind });
      if (kind === "echo") due.push(taskId);
    }
    for (const rows of [1, 4, 7, 20, 21]) {
      const found: string[] = [];
      for (let from: EndedPlace | null = FIRST_ENDED; from !== null;) {
        const query = { namespace, retained: { ...ALL, kinds: ["audit"] }, from, rows };
        const page: Awaited<ReturnType<typeof findDueTasks>> = await findDueTasks(store().db, query);
        found.push(...idsOf(page.due));
        from = page.next;
      }
      assert.deepEqual(found, due);
    }
  });

  it("settles no place of the last minute", async () => {
    await createEnded(store(), { agoMs: 30_000 });
    const query = { namespace, retained: { ...ALL, retentionMs: 1_000 }, from: FIRST_ENDED, rows: 100 };
    const { due, settled } = await findDueTasks(store().db, query);
    assert.deepEqual([due.length, settled], [1, null]);
  });

  it("finds tasks after their own retention, at most as many retentions and tasks as asked for", async () => {
    const agoMs = 2 * HOUR_MS;
    const due: string[] = [];
    for (const retentionMs of [1_000, 60_000, HOUR_MS]) due.push(await createEnded(store(), { agoMs, retentionMs }));
    await createEnded(store(), { agoMs, retentionMs: 3 * HOUR_MS });
    await createEnded(store(), { agoMs });
    const all = await findDueRetained(store().db, { namespace, after: 0, retentions: 10, rows: 10 });
    assert.deepEqual([idsOf(all.due), all.after], [due, null]);
    assert.deepEqual(
      all.due.map(({ retentionMs }) => retentionMs),
      [1_000, 60_000, HOUR_MS],
    );
    assert.ok(Math.abs(all.due[2]!.overdueMs - HOUR_MS) < 60_000);
    const first = await findDueRetained(store().db, { namespace, after: 0, retentions: 2, rows: 10 });
    assert.deepEqual([idsOf(first.due), first.after], [due.slice(0, 2), 60_000]);
    const second = await findDueRetained(store().db, { namespace, after: 60_000, retentions: 2, rows: 1 });
    assert.deepEqual(idsOf(second.due), due.slice(2));
    const none = await findDueRetained(store().db, { namespace, after: 3 * HOUR_MS, retentions: 2, rows: 1 });
    assert.deepEqual(none, { due: [], after: null });
  });
});

describeOnEachStore("the removal of found tasks", (store) => {
  const found = (taskId: string, options: Partial<DueTask> = {}): DueTask => ({
    taskId,
    lastSeq: 2n,
    retentionMs: HOUR_MS,
    overdueMs: 0,
    ...options,
  });
  const remove = (due: readonly DueTask[], bounds = BOUNDS) => removeFound(store().db, { namespace, due, bounds });

  it("removes these tasks alone, and each of them only if all conditions hold again", async () => {
    const agoMs = 2 * HOUR_MS;
    const [due, own, other] = [
      await createEnded(store(), { agoMs }),
      await createEnded(store(), { agoMs, retentionMs: 60_000 }),
      await createEnded(store(), { agoMs }),
    ];
    const early = await createEnded(store(), { agoMs: HOUR_MS - 60_000 });
    const running = await createRunning(store().db, { namespace });
    const elsewhere = await storeEnded(store().db, { namespace: randomUUID(), agoMs });
    const none = [
      found(early),
      found(running.taskId, { lastSeq: 1n }),
      found(elsewhere),
      found(due, { lastSeq: 3n }),
      found(own), // With the retention of the settings.
      found(randomUUID()),
    ];
    assert.deepEqual(await remove(none), []);
    const removed = await remove([...none, found(due), found(own, { retentionMs: 60_000 })]);
    assert.deepEqual(idsOf(removed).sort(), [due, own].sort());
    assert.deepEqual(await findRemoved(store().db, [due, own, other, early]), new Set([due, own]));
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from task_events
      where task_id = any(${[due, own]}::uuid[])`.execute(store().db);
    assert.equal(rows[0]!.count, 0);
  });

  it("removes as many as the bounds allow, and at least one", async () => {
    const agoMs = 2 * HOUR_MS;
    const due: DueTask[] = [];
    for (let count = 0; count < 3; count++) {
      due.push(found(await createEnded(store(), { agoMs, events: 600 }), { lastSeq: 600n }));
    }
    const bounds = { ...BOUNDS, events: 1_000 };
    assert.deepEqual(idsOf(await remove(due, bounds)), [due[0]!.taskId]);
    assert.deepEqual(idsOf(await remove(due, { ...bounds, events: 5_000 })).sort(), idsOf(due.slice(1)).sort());
    assert.deepEqual(await remove(due), []);
  });
});

describe("on Postgres, the lock of exports", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("is held by one process at a time in each namespace, and released after a failure", async () => {
    const inner = await withExportLock(store, namespace, async () => [
      await withExportLock(store, namespace, async () => "same"),
      await withExportLock(store, randomUUID(), async () => "other"),
    ]);
    assert.deepEqual(inner, [null, "other"]);
    const failure = new Error("failed");
    await assert.rejects(
      withExportLock(store, namespace, () => Promise.reject(failure)),
      failure,
    );
    assert.equal(await withExportLock(store, namespace, async () => "again"), "again");
  });

  it("is lost with its connection, and the work goes on", async () => {
    const done = await withExportLock(store, namespace, async () => {
      await sql`select pg_terminate_backend(l.pid) from pg_locks l
        where l.locktype = 'advisory' and l.pid <> pg_backend_pid()
          and l.database = (select oid from pg_database where datname = current_database())`.execute(store.db);
      await eventually(async () => assert.equal(await withExportLock(store, namespace, async () => "other"), "other"));
      return "done";
    });
    assert.equal(done, "done");
    await store.check();
  });

  it("keeps no row from vacuum while it is held", async () => {
    await withExportLock(store, namespace, async () => {
      const { rows } = await sql<{ held: number }>`select count(*)::int as held from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction'
          and (backend_xmin is not null or backend_xid is not null)`.execute(store.db);
      assert.equal(rows[0]!.held, 0);
    });
  });
});
