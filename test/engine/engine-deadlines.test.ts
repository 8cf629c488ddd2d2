import assert from "node:assert/strict";
import { kindOf, outcomeOf, start, startRunning, untilStopped, wholeTape } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { outline } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../support/stores.ts";

const inMs = (ms: number) => new Date(Date.now() + ms);

describeHeavyOnEachStore("a deadline", (store) => {
  const wait = kindOf("wait", ({ signal }) => untilStopped(signal));

  it("ends an attempt at its timeout, and another attempt may follow", async () => {
    await using engine = await startEngine(store(), { kinds: [wait] });
    const retryPolicy = { initialBackoffMs: 1 };
    const taskId = await start(engine, { kind: "wait", timeoutMs: 50, maxAttempts: 2, retryPolicy });
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason], ["failed", "DEADLINE_EXCEEDED"]);
    assert.deepEqual(outline(tape), ["started", "retrying", "started", "final"]);
    assert.equal((await engine.getTask(taskId)).attemptDeadlineAt, null);
  });

  it("ends a running task, however many attempts are left", async () => {
    await using engine = await startEngine(store(), { kinds: [wait] });
    const deadlineAt = inMs(300);
    const taskId = await startRunning(engine, { kind: "wait", timeoutMs: 60_000, maxAttempts: 9, deadlineAt });
    assert.deepEqual((await engine.getTask(taskId)).attemptDeadlineAt, deadlineAt);
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason], ["failed", "DEADLINE_EXCEEDED"]);
    assert.deepEqual(outline(tape), ["started", "final"]);
    assert.ok(tape[1]!.time.getTime() >= deadlineAt.getTime() - 1); // A timer may be a millisecond early.
  });

  it("ends a pending task that has never run", async () => {
    await using engine = await startEngine(store(), { kinds: [wait], slots: 1 });
    const running = await startRunning(engine, { kind: "wait" });
    const taskId = await start(engine, { kind: "wait", deadlineAt: inMs(300) });
    const { status, error, startedAt, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason, startedAt], ["failed", "DEADLINE_EXCEEDED", null]);
    assert.deepEqual(outline(tape), ["final"]);
    assert.equal((await engine.getTask(running)).status, "running");
  });

  it("that has already passed keeps the task from running", async () => {
    let runs = 0;
    const kind = kindOf("counted", () => Promise.resolve({ runs: ++runs }));
    await using engine = await startEngine(store(), { kinds: [kind] });
    await eventually(async () => assert.equal((await outcomeOf(engine, await start(engine))).status, "succeeded"));
    const taskIds = await Promise.all(
      [1, 2, 3].map(() => start(engine, { kind: "counted", deadlineAt: inMs(-1_000) })),
    );
    for (const taskId of taskIds) {
      assert.equal((await outcomeOf(engine, taskId)).error?.reason, "DEADLINE_EXCEEDED");
      assert.deepEqual(outline(await wholeTape(engine, taskId)), ["final"]);
    }
    assert.equal(runs, 0);
  });

  it("fails a task at once if its next attempt could only begin too late", async () => {
    const kind = kindOf("fails", () => Promise.reject(new Error("broken")));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const retryPolicy = { initialBackoffMs: 60_000, jitter: 0 };
    const taskId = await start(engine, { kind: "fails", maxAttempts: 9, retryPolicy, deadlineAt: inMs(50_000) });
    const { error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([error?.message, outline(tape)], ["broken", ["started", "final"]]);
  });
});
