import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import type { Create, CreateOutcome } from "../../../src/engine/write/create-queue.ts";
import { BatchWriter } from "../../../src/engine/write/flush-batch.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, newTask, startedOf, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a start whose answer was lost", (store) => {
  for (const requestId of [null, randomUUID()]) {
    const name = requestId === null ? "without" : "with";

    it(`${name} a request_id does not create its task again after the task was removed`, async () => {
      const { db } = store();
      const namespace = randomUUID();
      const fence = await createRunning(db, { namespace, requestId });
      const { taskId, lease } = fence;
      await writeFlush(db, {
        creates: [],
        appends: [{ fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" }],
      });
      await db.transaction().execute(async (trx) => {
        const { tasks } = await lockTask(trx, { namespace, taskId });
        await removeTask(trx, namespace, tasks[0]!);
      });
      const again = createOf({ namespace, taskId, lease, requestId });
      const other = createOf({ namespace });
      const writer = new BatchWriter({ store: openFlushStore(db), feed: new Feed(), observer: UNOBSERVED });
      const batch = { creates: [again, other], appends: [], isDoubtful: true };
      assert.equal(await writer.flush(batch, (work) => work()), null);
      assert.equal((await again.done.promise).created, true);
      assert.equal((await other.done.promise).created, true);
      await assert.rejects(readTask(db, { namespace, taskId }), { reason: "TASK_EXPIRED" });
      assert.equal((await readTask(db, { namespace, taskId: other.task.taskId })).status, "pending");
    });
  }

  function createOf(options: Parameters<typeof newTask>[0]): Create {
    const task = newTask(options);
    return { task, events: startedOf(task), since: performance.now(), done: Promise.withResolvers<CreateOutcome>() };
  }
});
