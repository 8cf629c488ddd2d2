import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { echo } from "../../../src/kinds/echo.ts";
import { kindOf, outcomeOf, start } from "../../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import { outline } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("an engine among engines with other kinds", () => {
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(() => {
    namespace = randomUUID();
  });

  it("stores a task of another engine's kind with the kind's retry settings, and the other runs it", async () => {
    const retry = { maxAttempts: 4, jitter: 0.5 };
    const kind = kindOf("elsewhere", ({ params }) => Promise.resolve({ params }), { retry });
    await using owner = await startEngine(store, { namespace, kinds: [kind] });
    await using other = await startEngine(store, { namespace, unknownKinds: "refuse" });
    const { task } = await other.startTask(taskRequest({ kind: "elsewhere", params: { n: 1 } }));
    const { maxAttempts, retryPolicy, awaitsWorker } = task;
    assert.deepEqual([maxAttempts, retryPolicy.jitter, awaitsWorker], [4, 0.5, false]);
    assert.deepEqual((await outcomeOf(owner, task.taskId)).result, { params: { n: 1 } });
  });

  it("starts tasks of its own kinds at once while it stores tasks of other kinds", async () => {
    await using owner = await startEngine(store, { namespace, kinds: [kindOf("elsewhere", () => Promise.resolve())] });
    await using other = await startEngine(store, { namespace });
    await outcomeOf(other, await start(other)); // Its first claim is over.
    for (let count = 0; count < 10; count++) {
      const taskId = await start(other, { kind: "elsewhere" });
      assert.equal((await other.startTask(taskRequest())).task.status, "running");
      await outcomeOf(owner, taskId);
    }
  });

  it("starts tasks of its own kinds at once while tasks of other kinds wake it", async () => {
    await using owner = await startEngine(store, { namespace, kinds: [kindOf("elsewhere", () => Promise.resolve())] });
    await using other = await startEngine(store, { namespace });
    await using third = await startEngine(store, { namespace });
    await outcomeOf(other, await start(other));
    const elsewhere: string[] = [];
    for (let count = 0; count < 100; count++) {
      const stored = start(third, { kind: "elsewhere" });
      const { task } = await other.startTask(taskRequest());
      assert.equal(task.status, "running");
      elsewhere.push(await stored);
      await outcomeOf(other, task.taskId); // Its slot is free for the next.
    }
    for (const taskId of elsewhere) await outcomeOf(owner, taskId);
  });

  it("counts a broken validation of the params as a failed attempt, and retries while attempts are left", async () => {
    let checks = 0;
    const parseParams = () => {
      if (++checks === 1) throw new TypeError("the schema is broken");
      return {};
    };
    const broken = { ...kindOf("broken", () => Promise.resolve()), parseParams };
    await using owner = await startEngine(store, { namespace, kinds: [broken] });
    await using other = await startEngine(store, { namespace });
    const { status, tape } = await outcomeOf(
      owner,
      await start(other, { kind: "broken", maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } }),
    );
    assert.deepEqual([status, outline(tape)], ["succeeded", ["started", "retrying", "started", "final"]]);
    assert.match(tape[1]!.body, /"KIND_FAILED".*the schema is broken/);
  });

  it("leaves a task of an unknown kind pending until an engine with the kind starts", async () => {
    await using early = await startEngine(store, { namespace });
    const { task } = await early.startTask(taskRequest({ kind: "late" }));
    assert.deepEqual([task.status, task.awaitsWorker], ["pending", true]);
    await using late = await startEngine(store, { namespace, kinds: [kindOf("late", () => Promise.resolve())] });
    assert.equal((await outcomeOf(early, task.taskId)).status, "succeeded");
    assert.equal((await late.getTask(task.taskId)).awaitsWorker, false);
  });

  it("validates a task that was stored without its kind before it or another engine runs the task", async () => {
    const runs: string[] = [];
    const alone = kindOf(
      "alone",
      async ({ taskId, attempt }) => {
        runs.push(`${taskId} begins`);
        await setImmediate();
        runs.push(`${taskId} ends`);
        if (attempt === 1) throw new Error("once more");
      },
      { exclusiveKey: ({ key }) => key as string, retry: { maxAttempts: 2, initialBackoffMs: 1, jitter: 0 } },
    );
    await using early = await startEngine(store, { namespace });
    const params = { key: "one" };
    const taskIds = [await start(early, { kind: "alone", params }), await start(early, { kind: "alone", params })];
    assert.equal((await early.getTask(taskIds[0]!)).exclusiveKey, null);
    await using first = await startEngine(store, { namespace, kinds: [alone] });
    await using second = await startEngine(store, { namespace, kinds: [alone] });
    for (const taskId of taskIds) {
      assert.equal((await outcomeOf(first, taskId)).status, "succeeded");
      const { exclusiveKey, maxAttempts, retryPolicy } = await second.getTask(taskId);
      assert.deepEqual([exclusiveKey, maxAttempts, retryPolicy.initialBackoffMs], ["one", 2, 1]);
    }
    assert.equal(runs.length, 8);
    for (let at = 0; at < runs.length; at += 2) assert.equal(runs[at]!.split(" ")[0], runs[at + 1]!.split(" ")[0]);
  });

  it("keeps the retry settings of the start when it validates a task", async () => {
    const kind = kindOf("late", () => Promise.resolve(), {
      retry: { maxAttempts: 5, maxBackoffMs: 60_000, jitter: 0 },
    });
    await using early = await startEngine(store, { namespace });
    const taskId = await start(early, { kind: "late", maxAttempts: 3, retryPolicy: { jitter: 1 } });
    await using _ = await startEngine(store, { namespace, kinds: [kind] });
    await outcomeOf(early, taskId);
    const { maxAttempts, retryPolicy } = await early.getTask(taskId);
    assert.deepEqual([maxAttempts, retryPolicy.jitter, retryPolicy.maxBackoffMs], [3, 1, 60_000]);
  });

  it("ends a task that it refuses, or cannot validate, without an attempt", async () => {
    const strict = { ...kindOf("strict", () => Promise.resolve()), parseParams: echo.parseParams };
    const broken = kindOf("broken", () => Promise.resolve(), {
      exclusiveKey: () => {
        throw new TypeError("no key");
      },
    });
    await using early = await startEngine(store, { namespace });
    const refused = await start(early, { kind: "strict", params: { count: -1 }, maxAttempts: 5 });
    const failed = await start(early, { kind: "broken", maxAttempts: 5 });
    await using _ = await startEngine(store, { namespace, kinds: [strict, broken] });
    for (const [taskId, reason] of [
      [refused, "INVALID_ARGUMENT"],
      [failed, "KIND_FAILED"],
    ] as const) {
      const { status, error, tape } = await outcomeOf(early, taskId);
      assert.deepEqual([status, error?.reason, outline(tape)], ["failed", reason, ["final"]]);
    }
  });

  it("accepts a start that only another engine can validate, even if it refuses unknown kinds", async () => {
    const alone = kindOf("alone", () => Promise.resolve(), { exclusiveKey: () => "key" });
    await using other = await startEngine(store, { namespace, unknownKinds: "refuse" });
    await assert.rejects(start(other, { kind: "alone" }), { reason: "KIND_UNKNOWN" });
    await using owner = await startEngine(store, { namespace, kinds: [alone] });
    const taskId = await start(other, { kind: "alone" });
    assert.equal((await outcomeOf(other, taskId)).status, "succeeded");
    assert.equal((await owner.getTask(taskId)).exclusiveKey, "key");
  });

  it("fails a task for good when the kind refuses its params at the first attempt", async () => {
    const strict = { ...kindOf("strict", () => Promise.resolve()), parseParams: echo.parseParams };
    await using owner = await startEngine(store, { namespace, kinds: [strict] });
    await using other = await startEngine(store, { namespace });
    const taskId = await start(other, { kind: "strict", params: { count: -1 }, maxAttempts: 5 });
    const { status, error, tape } = await outcomeOf(owner, taskId);
    assert.deepEqual([status, error?.reason], ["failed", "INVALID_ARGUMENT"]);
    assert.match(error!.message, /^params\.count: /);
    assert.deepEqual(outline(tape), ["started", "final"]);
  });
});
