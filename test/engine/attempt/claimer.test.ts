import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { pino } from "pino";
import { ScanPace } from "../../../src/async/scan-pace.ts";
import { requestCancel, stopAttempt } from "../../../src/domain/lifecycle.ts";
import { Claimer } from "../../../src/engine/attempt/claimer.ts";
import { TaskControl } from "../../../src/engine/attempt/task-control.ts";
import { Executor } from "../../../src/engine/attempt/executor.ts";
import { SlotBudget } from "../../../src/engine/attempt/slot-budget.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import { KindHost } from "../../../src/engine/attempt/kind-host.ts";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { eventually } from "../../support/eventually.ts";
import { kindOf } from "../../support/engine-tasks.ts";
import { createTask, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const log = pino({ level: "silent" });

/** Runs without a sweeper, which would find tasks that a claimer has missed within a second. */
describeHeavyOnEachStore("a claimer", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  /** @param onClaimed called after each claim, before the claimer has its result */
  function build({
    onClaimed,
    slots = 4,
    pace = new ScanPace(),
  }: {
    onClaimed: () => Promise<void>;
    slots?: number;
    pace?: ScanPace;
  }) {
    const { db } = store();
    const ran = Promise.withResolvers<string>();
    const kind = kindOf("noted", ({ taskId }) => Promise.resolve(ran.resolve(taskId)));
    const feed = new Feed();
    const observer = UNOBSERVED;
    const executor = new Executor({
      budget: new SlotBudget(slots),
      graceMs: 1_000,
      journal: new Journal({ store: openFlushStore(db), feed, log }),
      control: new TaskControl({ db, namespace, feed, observer, log }),
      namespace,
      observer,
      log,
      host: new KindHost({ kinds: new Map([["noted", kind]]), log }),
      readCheckpoint: () => Promise.resolve(null),
      readTapeBytes: async () => 0,
      limits: () => ({}),
      onFree: () => {},
    });
    const claimer = new Claimer({
      async claim(query) {
        const claimed = await claimTasks(db, query);
        await onClaimed();
        return claimed;
      },
      namespace,
      kinds: ["noted"],
      suspectedFrom: 2,
      room: () => Infinity,
      lease: () => lease,
      isFresh: () => true,
      executor,
      feed,
      observer,
      log,
      pace,
    });
    const lease = randomUUID();
    return { claimer, executor, ran: ran.promise };
  }

  const create = () => createTask(store().db, { namespace, kind: "noted", exclusiveKey: "key" });

  /** Claims the oldest task, and the key with it. @returns a function that ends the task */
  async function hold(): Promise<() => Promise<void>> {
    const query = { namespace, kinds: ["noted"], lease: randomUUID(), limit: 1, window: 1 };
    const { tasks } = await claimTasks(store().db, query);
    const [{ taskId, lease, attempt }] = tasks as [(typeof tasks)[0]];
    const fence = { taskId, lease: lease!, attempt };
    return async () => {
      const end = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
      assert.equal((await writeFlush(store().db, { creates: [], appends: [end] })).applied.length, 1);
    };
  }

  it("checks a key again if it blocked tasks and the key was released before the claim was answered", async () => {
    await create();
    const { taskId } = await create();
    const release = await hold();
    let claims = 0;
    const { claimer, executor, ran } = build({
      async onClaimed() {
        if (++claims === 1) await release();
      },
    });
    claimer.start();
    assert.equal(await ran, taskId);
    await claimer.stop();
    await executor.whenIdle(10_000);
  });

  it("checks a key in the next claim if the key becomes free during a claim", async () => {
    await create();
    const release = await hold();
    const { taskId } = await create(); // The task is blocked from its start on.
    let claims = 0;
    const { claimer, executor, ran } = build({
      async onClaimed() {
        if (++claims > 1) return;
        await release();
        claimer.onFreeKey("key");
      },
    });
    claimer.start();
    assert.equal(await ran, taskId);
    await claimer.stop();
    await executor.whenIdle(10_000);
  });

  it("is notified of the keys of tasks that end outside an attempt, but not of a cancel request", async () => {
    const [running, waiting] = [await create(), await create()];
    await hold();
    const keys: string[] = [];
    const onFreeKey = (key: string) => keys.push(key);
    const control = new TaskControl({
      db: store().db,
      namespace,
      feed: new Feed(),
      onFreeKey,
      observer: UNOBSERVED,
      log,
    });
    await control.change(running.taskId, "cancel", (task) => requestCancel(task, { reason: "test", by: null }));
    assert.deepEqual(keys, []);
    await control.change(waiting.taskId, "cancel", (task) => requestCancel(task, { reason: "test", by: null }));
    assert.deepEqual(keys, ["key"]);
    await control.change(running.taskId, "lost", (task, context) => stopAttempt(task, "lost", context));
    assert.deepEqual(keys, ["key", "key"]);
  });

  it("claims new tasks while a scan of all tasks is not due, and tasks that were due before when it is", async () => {
    const pace = new (class extends ScanPace {
      mayScan = true;
      override get isDue(): boolean {
        return this.mayScan;
      }
    })();
    const first = Promise.withResolvers<void>();
    const { claimer, executor, ran } = build({ pace, onClaimed: () => Promise.resolve(first.resolve()) });
    claimer.start();
    await first.promise;
    pace.mayScan = false;
    // As a task that was handed over: it has been due for long, and waits again.
    const transaction = store().db.transaction();
    const old = await transaction.execute(async (trx) => {
      const task = await createTask(trx, { namespace, kind: "noted" });
      await sql`update tasks set created_at = now() - interval '1 hour' where task_id = ${task.taskId}`.execute(trx);
      return task;
    });
    const { taskId } = await createTask(store().db, { namespace, kind: "noted" });
    claimer.onWaiting();
    assert.equal(await ran, taskId);
    assert.equal((await readTask(store().db, { namespace, taskId: old.taskId })).status, "pending");
    pace.mayScan = true;
    claimer.onWaiting();
    await eventually(async () => {
      assert.equal((await readTask(store().db, { namespace, taskId: old.taskId })).status, "succeeded");
    });
    await claimer.stop();
    await executor.whenIdle(10_000);
  });

  it("leaves half of the free slots to starts without a known backlog, and none with a backlog", async () => {
    const free: number[] = [];
    const third = Promise.withResolvers<void>();
    const { claimer, executor } = build({
      slots: 5,
      onClaimed() {
        free.push(executor.freeSlots);
        // First a task may wait, then a task waits.
        if (free.length === 1) claimer.onPossibleTask();
        if (free.length === 2) claimer.onWaiting();
        if (free.length === 3) third.resolve();
        return Promise.resolve();
      },
    });
    claimer.start();
    await third.promise;
    await claimer.stop();
    assert.deepEqual(free, [0, 2, 0]);
  });
});
