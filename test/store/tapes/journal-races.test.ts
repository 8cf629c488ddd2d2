import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { requestCancel, stopAttempt } from "../../../src/domain/lifecycle.ts";
import type { Fence } from "../../../src/domain/task.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { eventually } from "../../support/eventually.ts";
import { inHeldTransaction } from "../../support/held-transaction.ts";
import { createRunning, newTask, outline, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";
import type { Decide } from "../decisions.ts";

/** Only a server has connections that can stand in each other's way. */
describe("on Postgres, a flush that waits for another transaction", () => {
  const namespace = randomUUID();
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  /** Resolves when so many flushes wait for a lock. */
  const waiting = (flushes: number) =>
    eventually(
      async () => {
        const { rows } = await sql<{ n: bigint }>`select count(*) as n from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '/* spool_flush%'`.execute(
          store.db,
        );
        assert.equal(rows[0]?.n, BigInt(flushes));
      },
      { describe: "the flush waits for the row" },
    );

  /** Holds the row, lets a flush run into it, then makes the transition and commits. */
  async function race(fence: Fence, decide: Decide, ends = false) {
    const held = await inHeldTransaction(store.db, async (trx) => {
      const locked = await lockTask(trx, { namespace, taskId: fence.taskId });
      const events = ends ? [...steps(1), SUCCEEDED] : steps(1);
      const flush = writeFlush(store.db, {
        creates: [],
        appends: [{ fence, appended: 0n, events, end: ends ? "succeeded" : null }],
      });
      flush.catch(() => {});
      await waiting(1);
      await decideOn(trx, locked, decide);
      return { flush }; // Not awaited here: it goes on when this has committed.
    });
    const { applied } = await held.flush;
    return { applied, tape: outline(await storedTape(store.db, { namespace, taskId: fence.taskId })) };
  }

  const asked: Decide = (task) => requestCancel(task, { reason: "enough", by: null });
  const ended: Decide = (task, moment) => stopAttempt(task, "lost", moment);

  it("checks its fence again, and writes nothing after an end", async () => {
    for (const ends of [false, true]) {
      const fence = await createRunning(store.db, { namespace });
      const { applied, tape } = await race(fence, ended, ends);
      assert.deepEqual(applied, []);
      assert.deepEqual(tape, ["started", "final"]);
      assert.equal((await readTask(store.db, { namespace, taskId: fence.taskId })).status, "failed");
    }
  });

  it("writes nothing after a requeue", async () => {
    const fence = await createRunning(store.db, { namespace, maxAttempts: 2 });
    const { applied, tape } = await race(fence, ended, true);
    assert.deepEqual(applied, []);
    assert.deepEqual(tape, ["started", "retrying"]);
  });

  it("writes its events after a cancel request", async () => {
    const fence = await createRunning(store.db, { namespace });
    const { applied, tape } = await race(fence, asked, true);
    assert.deepEqual(applied, [{ taskId: fence.taskId, firstSeq: 3n }]);
    assert.deepEqual(tape, ["started", "cancel_requested", 1, "final"]);
  });

  it("with the same request_id creates its task only if the other transaction rolls back", async () => {
    for (const isUndone of [false, true]) {
      const requestId = randomUUID();
      const [first, second] = [newTask({ namespace, requestId }), newTask({ namespace, requestId })];
      const flush = (db: typeof store.db, task: typeof first) =>
        writeFlush(db, { creates: [{ task, events: [] }], appends: [] });
      let late: ReturnType<typeof flush> | undefined;
      const early = inHeldTransaction(store.db, async (trx) => {
        await flush(trx, first);
        late = flush(store.db, second);
        await waiting(1);
        if (isUndone) throw new Error("undone");
      });
      if (isUndone) await assert.rejects(early, { message: "undone" });
      else await early;
      assert.equal((await late!).applied.length, isUndone ? 1 : 0);
    }
  });

  it("leaves a single end if several transactions end the task", async () => {
    for (let round = 0; round < 20; round++) {
      const fence = await createRunning(store.db, { namespace });
      const flush = () =>
        writeFlush(store.db, {
          creates: [],
          appends: [{ fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" }],
        });
      const cancel = () =>
        store.db.transaction().execute(async (trx) => {
          const locked = await lockTask(trx, { namespace, taskId: fence.taskId });
          return (await decideOn(trx, locked, (task, moment) => stopAttempt(task, "cancel", moment))).length;
        });
      const flushed = async () => (await flush()).applied.length;
      const ends = await Promise.all([flushed(), cancel(), flushed(), cancel()]);
      assert.equal(
        ends.reduce((sum, end) => sum + end, 0),
        1,
      );
      const tape = await storedTape(store.db, { namespace, taskId: fence.taskId });
      assert.deepEqual(outline(tape), ["started", "final"]);
      const { status } = JSON.parse(tape[1]!.body) as { status: string };
      assert.equal((await readTask(store.db, { namespace, taskId: fence.taskId })).status, status);
    }
  });
});
