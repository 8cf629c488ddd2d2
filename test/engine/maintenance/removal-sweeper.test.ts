import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { pino } from "pino";
import { REMOVED_MS } from "../../../src/domain/limits.ts";
import { RemovalSweeper } from "../../../src/engine/maintenance/removal-sweeper.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { deleteRemovedEvents, findRemoved, removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { eventually } from "../../support/eventually.ts";
import { createRunning, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const log = pino({ level: "silent" });

describeHeavyOnEachStore("the sweeper of removed tasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  /** Stores an ended task with so many events, and removes it, as a server does that then dies. */
  async function createRemoved(events: number): Promise<string> {
    const { db } = store();
    const fence = await createRunning(db, { namespace });
    const { taskId } = fence;
    await sql`insert into task_events (task_id, seq, time, type, body)
      select ${taskId}::uuid, seq, now(), 'log', '{}' from generate_series(2, ${events}::int - 1) as seq`.execute(db);
    await sql`update tasks set last_seq = ${events}::int - 1 where task_id = ${taskId}::uuid`.execute(db);
    await writeFlush(db, {
      creates: [],
      appends: [{ fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" }],
    });
    await db.transaction().execute(async (trx) => {
      const { tasks } = await lockTask(trx, { namespace, taskId });
      await removeTask(trx, namespace, tasks[0]!);
    });
    return taskId;
  }

  async function left(): Promise<{ events: number; unfinished: number }> {
    const { rows } = await sql<{ events: number; unfinished: number }>`
      select (select count(*)::int from task_events e join removed_tasks r using (task_id)
              where r.namespace = ${namespace}) as events,
             (select count(*)::int from removed_tasks where namespace = ${namespace} and events_left) as unfinished
    `.execute(store().db);
    return rows[0]!;
  }

  async function whileSweeping(servers: number, check: () => Promise<void>): Promise<void> {
    const sweepers = Array.from({ length: servers }, () => new RemovalSweeper({ db: store().db, namespace, log }));
    for (const sweeper of sweepers) sweeper.start();
    for (const sweeper of sweepers) sweeper.kick();
    try {
      await check();
    } finally {
      for (const sweeper of sweepers) await sweeper.stop();
    }
  }

  it("deletes 100,000 events in batches of at most 5,000 @slow", async () => {
    const taskId = await createRemoved(100_000);
    assert.deepEqual(await left(), { events: 100_000, unfinished: 1 });
    await whileSweeping(1, async () => {
      const counts = new Set<number>();
      await eventually(
        async () => {
          const { events, unfinished } = await left();
          counts.add(events % 5_000);
          assert.deepEqual([events, unfinished], [0, 0]);
        },
        { timeoutMs: 60_000 },
      );
      assert.deepEqual([...counts], [0]); // Only whole batches are committed.
    });
    assert.deepEqual(await findRemoved(store().db, [taskId]), new Set([taskId]));
  });

  it("finishes what a server left that died between two batches, with any number of sweepers", async () => {
    for (let task = 0; task < 5; task++) await createRemoved(6_000);
    assert.equal(await deleteRemovedEvents(store().db, { namespace, limit: 1_000 }), 1_000);
    assert.deepEqual(await left(), { events: 29_000, unfinished: 5 });
    await whileSweeping(3, () =>
      eventually(async () => assert.deepEqual(await left(), { events: 0, unfinished: 0 }), { timeoutMs: 60_000 }),
    );
  });

  it("deletes markers that are older than 7 days", async () => {
    const old = await createRemoved(10);
    const young = await createRemoved(10);
    const removedAt = new Date(Date.now() - REMOVED_MS - 60_000);
    await sql`update removed_tasks set removed_at = ${removedAt} where task_id = ${old}::uuid`.execute(store().db);
    await whileSweeping(1, () =>
      eventually(async () => assert.deepEqual(await findRemoved(store().db, [old, young]), new Set([young]))),
    );
    assert.deepEqual(await left(), { events: 0, unfinished: 0 });
  });
});
