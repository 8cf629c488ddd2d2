import assert from "node:assert/strict";
import type { JsonObject } from "../../src/domain/json.ts";
import { TaskError } from "../../src/domain/kind.ts";
import type { TaskContext } from "../../src/domain/kind.ts";
import { kindOf, outcomeOf, start } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { outline } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../support/stores.ts";

const AT_ONCE = { initialBackoffMs: 1, maxBackoffMs: 1 };

describeHeavyOnEachStore("an attempt that fails", (store) => {
  const never = (task: TaskContext) => Promise.reject(new TaskError("NOT_YET", `attempt ${task.attempt}`));

  it("is retried while attempts are left, and the tape records each retry", async () => {
    const kind = kindOf("second", async (task) => {
      await task.log("INFO", `attempt ${task.attempt}`);
      if (task.attempt === 1) throw new TaskError("NOT_YET", "again");
      return { attempt: task.attempt };
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const retryPolicy = { initialBackoffMs: 200, jitter: 0 };
    const taskId = await start(engine, { kind: "second", maxAttempts: 2, retryPolicy });
    const { status, result, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, result], ["succeeded", { attempt: 2 }]);
    assert.deepEqual(outline(tape), ["started", "log", "retrying", "started", "log", "final"]);
    const retrying = JSON.parse(tape[2]!.body) as { error: unknown; next_attempt_at: string };
    assert.deepEqual(retrying.error, { reason: "NOT_YET", message: "again" });
    assert.equal(Date.parse(retrying.next_attempt_at), tape[2]!.time.getTime() + 200);
    assert.ok(tape[3]!.time.getTime() >= Date.parse(retrying.next_attempt_at));
    assert.deepEqual(JSON.parse(tape[3]!.body), { kind: "second", attempt: 2 });
  });

  it("ends the task with its failure if no attempts are left", async () => {
    await using engine = await startEngine(store(), { kinds: [kindOf("never", never)] });
    const taskId = await start(engine, { kind: "never", maxAttempts: 3, retryPolicy: AT_ONCE });
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error], ["failed", { reason: "NOT_YET", message: "attempt 3" }]);
    assert.deepEqual(outline(tape), ["started", "retrying", "started", "retrying", "started", "final"]);
  });

  it("uses the retry settings of the kind if the start sets none", async () => {
    const retry = { maxAttempts: 2, initialBackoffMs: 1, jitter: 0.5 };
    await using engine = await startEngine(store(), { kinds: [kindOf("never", never, { retry })] });
    const [byKind, byStart] = [
      await start(engine, { kind: "never" }),
      await start(engine, { kind: "never", maxAttempts: 1, retryPolicy: { jitter: 0 } }),
    ];
    assert.equal((await outcomeOf(engine, byKind)).error?.message, "attempt 2");
    assert.equal((await outcomeOf(engine, byStart)).error?.message, "attempt 1");
    const rest = { initialBackoffMs: 1, maxBackoffMs: 300_000, backoffMultiplier: 2 };
    assert.deepEqual((await engine.getTask(byKind)).retryPolicy, { ...rest, jitter: 0.5 });
    assert.deepEqual((await engine.getTask(byStart)).retryPolicy, { ...rest, jitter: 0 });
  });

  it("is the last attempt if the code throws an error that is not retryable", async () => {
    const kind = kindOf("final", () => Promise.reject(new TaskError("NO_SUCH_FILE", "gone", { retryable: false })));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const { status, error, tape } = await outcomeOf(engine, await start(engine, { kind: "final", maxAttempts: 9 }));
    assert.deepEqual([status, error], ["failed", { reason: "NO_SUCH_FILE", message: "gone" }]);
    assert.deepEqual(outline(tape), ["started", "final"]);
  });

  it("leaves its last checkpoint to the next attempt, which passes it on if it makes none", async () => {
    const given: (JsonObject | null)[] = [];
    const kind = kindOf("steps", async (task) => {
      const before = await task.lastCheckpoint();
      given.push(before);
      if (task.attempt === 1) {
        await task.partial("checkpoint", { step: 1 });
        await task.partial("found", { checkpoint: "no" });
        await task.partial("checkpoint", { step: 2 });
        await task.log("INFO", "after it");
        assert.deepEqual(await task.lastCheckpoint(), before); // The attempt still reads the checkpoint that it began with.
      }
      if (task.attempt < 4) throw new Error("again");
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    await outcomeOf(engine, await start(engine, { kind: "steps", maxAttempts: 4, retryPolicy: AT_ONCE }));
    assert.deepEqual(given, [null, { step: 2 }, { step: 2 }, { step: 2 }]);
  });
});
