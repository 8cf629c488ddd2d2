import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { StoreUnavailable } from "../../../src/domain/errors.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import type { Create, CreateOutcome } from "../../../src/engine/write/create-queue.ts";
import { BatchWriter } from "../../../src/engine/write/flush-batch.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { createTask, startedOf } from "../../support/new-tasks.ts";
import { recordObserver } from "../../support/recorded-observer.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a start whose answer was lost", (store) => {
  it("is reported once, even if another start of its flush cannot be settled at first", async () => {
    const { db } = store();
    const namespace = randomUUID();
    const [one, other] = await Promise.all([1, 2].map(() => storedStart(namespace)));
    const flushes = openFlushStore(db);
    let failures = 1;
    const readTaskStates: typeof flushes.readTaskStates = (taskIds) => {
      const isFailing = taskIds.includes(other!.task.taskId) && failures-- > 0;
      return isFailing ? Promise.reject(new StoreUnavailable(new Error("cut off"))) : flushes.readTaskStates(taskIds);
    };
    const { observer, events } = recordObserver();
    const writer = new BatchWriter({ store: { ...flushes, readTaskStates }, feed: new Feed(), observer });
    const failure = await writer.flush({ creates: [one!, other!], appends: [], isDoubtful: true }, (work) => work());
    assert.deepEqual(failure?.remaining.creates, [other]);
    assert.equal(await writer.flush({ ...failure.remaining, isDoubtful: true }, (work) => work()), null);
    assert.deepEqual([(await one!.done.promise).created, (await other!.done.promise).created], [true, true]);
    assert.equal(events(), 2);
  });

  async function storedStart(namespace: string): Promise<Create> {
    const task = await createTask(store().db, { namespace, lease: randomUUID() });
    return { task, events: startedOf(task), since: performance.now(), done: Promise.withResolvers<CreateOutcome>() };
  }
});
