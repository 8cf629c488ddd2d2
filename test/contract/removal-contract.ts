import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import type { Endpoint, StartOptions } from "./endpoint.ts";
import { collect } from "./tape-contract.ts";
import { refusal } from "./task-contract.ts";

/** What docs/guarantees.md promises of removing tasks, at every endpoint. */
export function removalContract(endpoint: () => Endpoint): void {
  async function startEnded(options: Partial<StartOptions> = {}): Promise<string> {
    const { task } = await endpoint().start({ kind: "echo", params: { count: 3 }, ...options });
    await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    return task.taskId;
  }

  it("a removed task is found by no call, and each says that it was removed, and when", async () => {
    const taskId = await startEnded();
    await collect(endpoint().follow({ taskId })); // The server has the tape in its memory.
    assert.equal(await endpoint().delete(taskId), false);
    const calls = [
      () => endpoint().get(taskId),
      () => endpoint().cancel(taskId),
      () => endpoint().events({ taskId }),
      () => endpoint().events({ taskId, fromSeq: 100n, waitMs: 60_000 }),
      () => endpoint().result({ taskId }),
      () => endpoint().result({ taskId, waitMs: 60_000 }),
      () => collect(endpoint().follow({ taskId })),
      () => collect(endpoint().follow({ taskId, fromSeq: 100n })),
    ];
    for (const call of calls) {
      const { reason, metadata } = await refusal(call());
      assert.deepEqual([reason, metadata["task_id"]], ["TASK_EXPIRED", taskId]);
      assert.ok(Math.abs(Date.parse(metadata["removed_at"]!) - Date.now()) < 60_000);
    }
  });

  it("a removed task is in no list and in no stream over many tasks", async () => {
    const labels = { team: crypto.randomUUID() };
    const [removed, kept] = [await startEnded({ labels }), await startEnded({ labels })];
    await endpoint().delete(removed);
    const listed = await collect(endpoint().list({ labels }));
    assert.deepEqual(
      listed.map(({ taskId }) => taskId),
      [kept],
    );
    for (const view of ["events", "tasks"] as const) {
      for await (const { tasks } of endpoint().followTasks({ labels, fromStart: true, view })) {
        if (tasks.length === 0) continue;
        assert.deepEqual(
          tasks.map(({ taskId }) => taskId),
          [kept],
        );
        break;
      }
    }
  });

  it("a task can be deleted again, and the answer says that it was removed before", async () => {
    const taskId = await startEnded();
    const answers = await Promise.all([endpoint().delete(taskId), endpoint().delete(taskId)]);
    assert.deepEqual(answers.sort(), [false, true]);
    assert.equal(await endpoint().delete(taskId), true);
  });

  it("a task that has not ended is not deleted, and the error names the status", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    const running = await refusal(endpoint().delete(task.taskId));
    assert.deepEqual([running.reason, running.metadata["current_status"]], ["TASK_NOT_TERMINAL", "running"]);
    actor.leave();
    await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    assert.equal(await endpoint().delete(task.taskId), false);
    const later = await endpoint().start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    const pending = await refusal(endpoint().delete(later.task.taskId));
    assert.deepEqual([pending.reason, pending.metadata["current_status"]], ["TASK_NOT_TERMINAL", "pending"]);
    await endpoint().cancel(later.task.taskId);
    assert.equal(await endpoint().delete(later.task.taskId), false);
  });

  it("a task has the retention of its start, and none without one", async () => {
    const century = 36_500 * 24 * 60 * 60_000;
    const { task } = await endpoint().start({ kind: "echo", retentionMs: century });
    assert.deepEqual([task.retentionMs, (await endpoint().get(task.taskId)).retentionMs], [century, century]);
    assert.equal((await endpoint().get(await startEnded())).retentionMs, null);
  });

  it("a task is removed after its retention, and a longer retention keeps it", async () => {
    const kept = await startEnded({ retentionMs: 3_600_000 });
    const requestId = crypto.randomUUID();
    const taskId = await startEnded({ retentionMs: 1_000, requestId });
    await eventually(() => assert.rejects(endpoint().get(taskId), { reason: "TASK_EXPIRED" }));
    assert.equal((await refusal(collect(endpoint().follow({ taskId })))).reason, "TASK_EXPIRED");
    assert.equal((await endpoint().start({ kind: "echo", requestId })).alreadyStarted, false);
    assert.equal((await endpoint().get(kept)).status, "succeeded");
  });

  it("the request_id of a removed task starts a new task at once, also with other content", async () => {
    const requestId = crypto.randomUUID();
    const removed = await startEnded({ requestId });
    await endpoint().delete(removed);
    const { task, alreadyStarted } = await endpoint().start({ kind: "echo", params: { count: 1 }, requestId });
    assert.equal(alreadyStarted, false);
    assert.notEqual(task.taskId, removed);
    const again = await endpoint().start({ kind: "echo", params: { count: 1 }, requestId });
    assert.deepEqual([again.task.taskId, again.alreadyStarted], [task.taskId, true]);
    assert.equal((await refusal(endpoint().get(removed))).reason, "TASK_EXPIRED");
    await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
  });
}
