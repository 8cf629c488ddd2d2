import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { echo } from "../../../src/kinds/echo.ts";
import { kindOf, outcomeOf, start } from "../../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import { outline } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("engines that have different kinds", () => {
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(() => {
    namespace = randomUUID();
  });

  it("store the tasks of a kind that another has, as its kind says, and that one runs them", async () => {
    const retry = { maxAttempts: 4, jitter: 0.5 };
    const kind = kindOf("elsewhere", ({ params }) => Promise.resolve({ params }), { retry });
    await using owner = await startEngine(store, { namespace, kinds: [kind] });
    await using other = await startEngine(store, { namespace, unknownKinds: "refuse" });
    const { task } = await other.startTask(taskRequest({ kind: "elsewhere", params: { n: 1 } }));
    const { maxAttempts, retryPolicy, awaitsWorker } = task;
    assert.deepEqual([maxAttempts, retryPolicy.jitter, awaitsWorker], [4, 0.5, false]);
    assert.deepEqual((await outcomeOf(owner, task.taskId)).result, { params: { n: 1 } });
  });

  it("run their own at once, whatever they store for others", async () => {
    await using owner = await startEngine(store, { namespace, kinds: [kindOf("elsewhere", () => Promise.resolve())] });
    await using other = await startEngine(store, { namespace });
    await outcomeOf(other, await start(other)); // Its first look at what waits is over.
    for (let count = 0; count < 10; count++) {
      const taskId = await start(other, { kind: "elsewhere" });
      assert.equal((await other.startTask(taskRequest())).task.status, "running");
      await outcomeOf(owner, taskId);
    }
  });

  it("run their own at once, whatever wakes them, of kinds that they do not have", async () => {
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

  it("take a kind whose check of the params is broken for one that failed, and try again what has attempts left", async () => {
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

  it("keep a task of a kind that nobody has until somebody comes who has it", async () => {
    await using early = await startEngine(store, { namespace });
    const { task } = await early.startTask(taskRequest({ kind: "late" }));
    assert.deepEqual([task.status, task.awaitsWorker], ["pending", true]);
    await using late = await startEngine(store, { namespace, kinds: [kindOf("late", () => Promise.resolve())] });
    assert.equal((await outcomeOf(early, task.taskId)).status, "succeeded");
    assert.equal((await late.getTask(task.taskId)).awaitsWorker, false);
  });

  it("look over what was stored where nobody had its kind before they run it, whichever of them comes first", async () => {
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

  it("keep what a start has said of attempts when they look its task over", async () => {
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

  it("end what they would refuse, or cannot look over, without an attempt", async () => {
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

  it("take a start that only another can give its exclusive key, also where kinds that nobody has are refused", async () => {
    const alone = kindOf("alone", () => Promise.resolve(), { exclusiveKey: () => "key" });
    await using other = await startEngine(store, { namespace, unknownKinds: "refuse" });
    await assert.rejects(start(other, { kind: "alone" }), { reason: "KIND_UNKNOWN" });
    await using owner = await startEngine(store, { namespace, kinds: [alone] });
    const taskId = await start(other, { kind: "alone" });
    assert.equal((await outcomeOf(other, taskId)).status, "succeeded");
    assert.equal((await owner.getTask(taskId)).exclusiveKey, "key");
  });

  it("end a task whose params its kind refuses when it is to run, whatever attempts it has left", async () => {
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
