import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { newEvent } from "../../../src/domain/event.ts";
import { TapePoller } from "../../../src/engine/cluster/tape-poller.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;
const log = pino({ level: "silent" });

describeOnEachStore("the poll of followed tapes", (store) => {
  it("finds that another server has removed the task of an ended tape, and wakes its followers", async () => {
    const { db } = store();
    const namespace = randomUUID();
    const fence = await createRunning(db, { namespace });
    const { taskId } = fence;
    const events = [SUCCEEDED];
    await writeFlush(db, { creates: [], appends: [{ fence, appended: 0n, events, end: "succeeded" }] });
    const feed = new Feed();
    using follower = feed.subscribe(taskId, NEVER);
    using unknown = feed.subscribe(randomUUID(), NEVER);
    const started = newEvent("started", { kind: "echo", attempt: 1 });
    feed.publish({ taskId, firstSeq: 1n, events: [started, ...events], time: new Date(), status: "succeeded" });
    await follower.next(0);
    await db.transaction().execute(async (trx) => {
      const { tasks } = await lockTask(trx, { namespace, taskId });
      await removeTask(trx, namespace, tasks[0]!);
    });
    const poller = new TapePoller({ db, feed, isRunningHere: () => false, hasPeers: () => true, log });
    poller.start();
    poller.kick();
    try {
      assert.equal(await follower.next(60_000), true);
      assert.equal(feed.isRemoved(taskId), true);
      assert.equal(await unknown.next(0), false); // Its task may be on its way into the store.
    } finally {
      await poller.stop();
    }
    assert.deepEqual(feed.followedToEnd(), []);
  });
});
