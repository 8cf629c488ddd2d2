import assert from "node:assert/strict";
import { LimitExceeded } from "../../src/domain/errors.ts";
import type { Limits } from "../../src/domain/tenant-limits.ts";
import { kindOf, outcomeOf, start } from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { outline } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../support/stores.ts";

describeHeavyOnEachStore("a namespace with limits", (store) => {
  async function refusalOf(start: Promise<unknown>): Promise<Readonly<Record<string, string>>> {
    const error = await start.then(
      () => assert.fail("the start was not refused"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof LimitExceeded);
    return error.metadata;
  }

  it("refuses params past their limit, and takes those at the limit", async () => {
    await using engine = await startEngine(store(), { limits: () => ({ paramsBytes: 11 }) });
    await start(engine, { kind: "nowhere", params: { text: "" } });
    const metadata = await refusalOf(start(engine, { kind: "nowhere", params: { text: "!" } }));
    assert.deepEqual(metadata, { limit: "params_bytes", max: "11", of: "namespace" });
  });

  it("refuses starts past the limit of waiting tasks, until tasks have left the queue", async () => {
    await using engine = await startEngine(store(), { limits: () => ({ pendingTasks: 2 }) });
    const waiting = { kind: "nowhere" };
    const [first] = [await start(engine, waiting), await start(engine, waiting)];
    const metadata = await refusalOf(start(engine, waiting));
    assert.deepEqual(metadata, { limit: "pending_tasks", max: "2", of: "namespace" });
    await outcomeOf(engine, await start(engine, { kind: "echo" })); // It does not wait.
    await engine.cancelTask(first, { reason: "", by: null });
    await eventually(async () => void (await start(engine, waiting)));
    await refusalOf(start(engine, waiting));
  });

  it("refuses starts past the limits of their caller, and counts the waiting tasks of each caller apart", async () => {
    await using engine = await startEngine(store(), { limits: () => ({ pendingTasks: 9, paramsBytes: 30 }) });
    const startBy = async (startedBy: string | null, limits: Limits, params = {}) =>
      (await engine.startTask(taskRequest({ kind: "nowhere", startedBy, params }), limits)).task.taskId;
    const [limited, other] = [{ pendingTasks: 2, paramsBytes: 11 }, { pendingTasks: 2 }];
    const first = await startBy("limited", limited, { text: "" });
    const long = await refusalOf(startBy("limited", limited, { text: "!" }));
    assert.deepEqual(long, { limit: "params_bytes", max: "11", of: "principal" });
    await startBy("limited", limited);
    const third = await refusalOf(startBy("limited", limited));
    assert.deepEqual(third, { limit: "pending_tasks", max: "2", of: "principal" });
    await startBy("other", other, { text: "!" });
    await startBy(null, {});
    await engine.cancelTask(first, { reason: "", by: null });
    await eventually(async () => void (await startBy("limited", limited)));
    // A credential with the same name has limits of its own, on the same tasks.
    assert.equal((await refusalOf(startBy("limited", { pendingTasks: 2 })))["of"], "principal");
    const most = await refusalOf(startBy("other", {}, { text: "of more than 30 bytes" }));
    assert.deepEqual(most, { limit: "params_bytes", max: "30", of: "namespace" });
  });

  it("refuses starts past the limit of stored bytes, and counts only its own tasks", async () => {
    const limits = () => ({ storedBytes: 1 });
    await using unlimited = await startEngine(store());
    await start(unlimited, {});
    await using full = await startEngine(store(), { namespace: unlimited.namespace, limits });
    assert.deepEqual(await refusalOf(start(full, {})), { limit: "stored_bytes", max: "1", of: "namespace" });
    await using empty = await startEngine(store(), { limits });
    await start(empty, {});
  });

  it("runs no more tasks at once than the limit, and all in the end", async () => {
    let running = 0;
    let most = 0;
    const kind = kindOf("counted", async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
      return {};
    });
    await using engine = await startEngine(store(), { kinds: [kind], limits: () => ({ runningTasks: 2 }) });
    const taskIds = await Promise.all(Array.from({ length: 9 }, () => start(engine, { kind: "counted" })));
    for (const taskId of taskIds) assert.equal((await outcomeOf(engine, taskId)).status, "succeeded");
    assert.ok(most <= 2, `${most} at once`);
  });

  for (const [title, limits] of [
    ["events", { eventsPerTask: 5 }],
    ["bytes", { bytesPerTask: 200 }],
  ] satisfies [string, Limits][]) {
    it(`ends a task that emits more ${title} than the limit, without another attempt`, async () => {
      const kind = kindOf("chatty", async (task) => {
        const sent = Array.from({ length: 20 }, (_, at) => task.log("INFO", `line ${at} of a task that says much`));
        await Promise.allSettled(sent); // The code ignores that its events are refused.
        return { said: 20 };
      });
      await using engine = await startEngine(store(), { kinds: [kind], limits: () => limits });
      const taskId = await start(engine, { kind: "chatty", maxAttempts: 3 });
      const { status, error, tape } = await outcomeOf(engine, taskId);
      assert.deepEqual([status, error?.reason], ["failed", "LIMIT_EXCEEDED"]);
      const lines = tape.slice(1, -1);
      assert.ok(lines.length > 0 && lines.length < 20, `${lines.length} lines`);
      assert.deepEqual(outline(tape), ["started", ...lines.map(() => "log"), "final"]);
      if (title === "events") assert.equal(tape.length, 6);
    });
  }

  it("counts the events of earlier attempts of a task", async () => {
    const kind = kindOf("again", async (task) => {
      for (let at = 0; at < 3; at++) await task.log("INFO", `attempt ${task.attempt}`);
      throw new Error("again");
    });
    const retryPolicy = { initialBackoffMs: 1, maxBackoffMs: 1 };
    await using engine = await startEngine(store(), { kinds: [kind], limits: () => ({ eventsPerTask: 8 }) });
    const taskId = await start(engine, { kind: "again", maxAttempts: 9, retryPolicy });
    const { error, tape } = await outcomeOf(engine, taskId);
    assert.equal(error?.reason, "LIMIT_EXCEEDED");
    assert.equal(tape.length, 9);
  });
});
