import assert from "node:assert/strict";
import { TaskError } from "../../src/domain/kind.ts";
import { DEADLINE_AHEAD_MS_MAX } from "../../src/domain/limits.ts";
import { DEFAULT_RETRY_POLICY, RETRY_BOUNDS } from "../../src/domain/retry.ts";
import type { RetryPolicy } from "../../src/domain/retry.ts";
import { untilStopped } from "../support/engine-tasks.ts";
import type { Endpoint } from "./endpoint.ts";
import { collect, wholeTape } from "./tape-contract.ts";

/** What docs/guarantees.md promises of further attempts at a task, and of when it and they are ended, at every endpoint. */
export function attemptContract(endpoint: () => Endpoint): void {
  it("a timeout ends the attempt with DEADLINE_EXCEEDED", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params, timeoutMs: 20 });
    const { signal } = await actor.enter();
    signal.addEventListener("abort", () => actor.fail(signal.reason as Error));
    const { status, error } = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    assert.deepEqual([status, error?.reason], ["failed", "DEADLINE_EXCEEDED"]);
  });

  it("a failed attempt is retried up to the requested number of attempts", async () => {
    const first = endpoint().stage.actor();
    const second = endpoint().stage.actor(first.params.key, 2);
    const { task } = await endpoint().start({ kind: "stage", params: first.params, maxAttempts: 2 });
    await first.enter();
    first.fail(new TaskError("FLAKY", "try again"));
    await second.enter();
    second.leave({ attempt: 2 });
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(
      tape.map(({ type }) => type),
      ["started", "retrying", "started", "final"],
    );
    assert.deepEqual(tape[2]!.body, { kind: "stage", attempt: 2 });
    assert.deepEqual(tape[3]!.body, { status: "succeeded", result: { attempt: 2 } });
  });

  it("a task has the requested retry policy, with defaults for omitted fields", async () => {
    const extreme = (end: 0 | 1): RetryPolicy => ({
      initialBackoffMs: RETRY_BOUNDS.initialBackoffMs[end],
      maxBackoffMs: RETRY_BOUNDS.maxBackoffMs[end],
      backoffMultiplier: RETRY_BOUNDS.backoffMultiplier[end],
      jitter: RETRY_BOUNDS.jitter[end],
    });
    for (const retryPolicy of [undefined, {}, { initialBackoffMs: 1_500 }, { jitter: 0 }, extreme(0), extreme(1)]) {
      const labels = { run: crypto.randomUUID() };
      const { task } = await endpoint().start({ kind: "echo", labels, ...(retryPolicy && { retryPolicy }) });
      const [listed] = await collect(endpoint().list({ labels }));
      for (const told of [task, await endpoint().get(task.taskId), listed!]) {
        assert.deepEqual(told.retryPolicy, { ...DEFAULT_RETRY_POLICY, ...retryPolicy });
        assert.deepEqual([told.maxAttempts, told.handovers], [1, 0]);
      }
    }
  });

  it("the retry policy decides when the next attempt is due", async () => {
    const HOUR_MS = 3_600_000;
    const actor = endpoint().stage.actor();
    const retryPolicy = { initialBackoffMs: HOUR_MS, maxBackoffMs: HOUR_MS, jitter: 0 };
    const start = { kind: "stage", params: actor.params, maxAttempts: 100, retryPolicy };
    const { taskId, maxAttempts } = (await endpoint().start(start)).task;
    assert.equal(maxAttempts, 100);
    await actor.enter();
    actor.fail(new Error("try again, but not soon"));
    for await (const { type } of endpoint().follow({ taskId })) if (type === "retrying") break;
    const { status, startedAt, runAt } = await endpoint().get(taskId);
    const waitMs = runAt!.getTime() - startedAt!.getTime();
    assert.ok(status === "pending" && waitMs >= HOUR_MS && waitMs < HOUR_MS + 60_000, `${status}, ${waitMs} ms`);
    await endpoint().cancel(taskId);
  });

  it("a task whose deadline has passed never runs, and a repeated start finds the task", async () => {
    const start = { kind: "echo", requestId: crypto.randomUUID(), deadlineAt: new Date(Date.now() - 1_000) };
    const { task } = await endpoint().start(start);
    assert.deepEqual([task.status, task.deadlineAt, task.attemptDeadlineAt], ["pending", start.deadlineAt, null]);
    const { status, error, isStarted } = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    assert.deepEqual([status, error?.reason, isStarted], ["failed", "DEADLINE_EXCEEDED", false]);
    const tape = await wholeTape(endpoint(), task.taskId);
    assert.deepEqual(tape, [{ seq: 1n, type: "final", body: { status: "failed", error: error! } }]);
    const again = await endpoint().start(start);
    assert.deepEqual([again.task.taskId, again.alreadyStarted], [task.taskId, true]);
  });

  it("a deadline ends a running task even if attempts are left", async () => {
    // A machine that is too slow to run it in time ends it too; then it is given more.
    for (let aheadMs = 500; ; aheadMs *= 2) {
      const actor = endpoint().stage.actor();
      const deadlineAt = new Date(Date.now() + aheadMs);
      const { task } = await endpoint().start({ kind: "stage", params: actor.params, maxAttempts: 100, deadlineAt });
      void actor.enter().then(({ signal }) => untilStopped(signal).catch(actor.fail));
      const { status, error, isStarted } = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
      assert.deepEqual([status, error?.reason], ["failed", "DEADLINE_EXCEEDED"]);
      if (!isStarted) continue;
      const types = (await wholeTape(endpoint(), task.taskId)).map(({ type }) => type);
      assert.deepEqual(types, ["started", "final"]);
      return;
    }
  });

  it("a running task has the deadline of its attempt, from the timeout or the deadline of the task", async () => {
    const timeoutMs = 60_000;
    const soon = new Date(Date.now() + 30_000);
    const farthest = new Date(Date.now() + DEADLINE_AHEAD_MS_MAX);
    for (const [limits, deadlineOf] of [
      [{}, () => null],
      [{ timeoutMs }, (startedAt: Date) => new Date(startedAt.getTime() + timeoutMs)],
      [{ timeoutMs, deadlineAt: farthest }, (startedAt: Date) => new Date(startedAt.getTime() + timeoutMs)],
      [{ timeoutMs, deadlineAt: soon }, () => soon],
      [{ deadlineAt: soon }, () => soon],
    ] as const) {
      const actor = endpoint().stage.actor();
      const { task } = await endpoint().start({ kind: "stage", params: actor.params, ...limits });
      await actor.enter();
      const running = await endpoint().get(task.taskId);
      assert.deepEqual(running.attemptDeadlineAt, deadlineOf(running.startedAt!));
      assert.deepEqual(running.deadlineAt, "deadlineAt" in limits ? limits.deadlineAt : null);
      actor.leave();
      await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
      const { attemptDeadlineAt, deadlineAt } = await endpoint().get(task.taskId);
      assert.deepEqual([attemptDeadlineAt, deadlineAt], [null, running.deadlineAt]);
    }
  });
}
