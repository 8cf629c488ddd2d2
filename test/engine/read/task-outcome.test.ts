import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readOutcome } from "../../../src/engine/read/task-outcome.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { deleteRemovedEvents, removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("the outcome of a task that is removed while it is read", (store) => {
  it("is TASK_EXPIRED, and not an error of the server", async () => {
    const { db } = store();
    const namespace = randomUUID();
    const fence = await createRunning(db, { namespace });
    const { taskId } = fence;
    await writeFlush(db, { creates: [], appends: [{ fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" }] });
    const task = await readTask(db, { namespace, taskId });
    assert.equal((await readOutcome(db, namespace, task)).status, "succeeded");
    await db.transaction().execute(async (trx) => {
      const { tasks } = await lockTask(trx, { namespace, taskId });
      await removeTask(trx, namespace, tasks[0]!);
    });
    await deleteRemovedEvents(db, { namespace, limit: 10 });
    await assert.rejects(readOutcome(db, namespace, task), { reason: "TASK_EXPIRED" });
  });
});
