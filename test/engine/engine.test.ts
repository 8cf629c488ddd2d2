import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { TaskError } from "../../src/domain/kind.ts";
import { kindOf, outcomeOf, start, untilEvent, untilStopped, wholeTape } from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { outline } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

const NEVER = new AbortController().signal;

describeOnEachStore("the engine", (store) => {
  it("writes the whole life of a task to its tape", async () => {
    await using engine = await startEngine(store());
    const { task, alreadyStarted } = await engine.startTask(taskRequest({ params: { count: 3 }, labels: { a: "b" } }));
    assert.equal(alreadyStarted, false);
    const { status, result, error, tape } = await outcomeOf(engine, task.taskId);
    assert.deepEqual([status, result, error], ["succeeded", { echoed: 3 }, undefined]);
    assert.deepEqual(
      tape.map(({ type, body }) => [type, JSON.parse(body)]),
      [
        ["started", { kind: "echo", attempt: 1 }],
        ...[1, 2, 3].map((step) => ["progress", { phase: "echo", current: step, total: 3, detail: { step } }]),
        ["partial", { kind: "echo_done", payload: { count: 3 } }],
        ["final", { status: "succeeded", result: { echoed: 3 } }],
      ],
    );
    const stored = await engine.getTask(task.taskId);
    assert.deepEqual([stored.lastSeq, stored.attempt, stored.lease, stored.labels], [6n, 1, null, { a: "b" }]);
    assert.deepEqual(await wholeTape(engine, task.taskId), tape);
  });

  it("answers a start with the stored task", async () => {
    const kind = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store(), { kinds: [kind], slots: 1 });
    const runAt = new Date(Date.now() + 60_000);
    for (const request of [
      { timeoutMs: 60_000 },
      { labels: { a: "" }, params: { b: [1] } },
      { runAt, maxAttempts: 3 },
    ]) {
      const { task } = await engine.startTask(taskRequest({ kind: "wait", ...request }));
      const stored = await engine.getTask(task.taskId);
      // A pending task may have been claimed since.
      if (stored.attempt === task.attempt) assert.deepEqual(stored, task);
      assert.equal(stored.createdAt.getTime(), task.createdAt.getTime());
    }
  });

  it("records the message of a thrown error, without a stack", async () => {
    const kind = kindOf("fail", async (task) => {
      await task.log("INFO", "before");
      throw new RangeError("it broke\0");
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const { status, error, result, tape } = await outcomeOf(engine, await start(engine, { kind: "fail" }));
    assert.deepEqual([status, error, result], ["failed", { reason: "KIND_FAILED", message: "it broke\0" }, undefined]);
    assert.deepEqual(outline(tape), ["started", "log", "final"]);
  });

  it("stores the reason and details of a TaskError", async () => {
    const details = { status: 429, nested: { list: [null, "\0", 1.5] } };
    const kind = kindOf("fail", () => Promise.reject(new TaskError("MODEL_OVERLOADED", "later", { details })));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const { error } = await outcomeOf(engine, await start(engine, { kind: "fail" }));
    assert.deepEqual(error, { reason: "MODEL_OVERLOADED", message: "later", details });
  });

  it("refuses events that code emits after its return", async () => {
    const late = Promise.withResolvers<() => Promise<void>>();
    const kind = kindOf("leaves", (task) => {
      late.resolve(() => task.log("INFO", "late"));
      return Promise.resolve({});
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "leaves" });
    await outcomeOf(engine, taskId);
    await assert.rejects((await late.promise)(), { reason: "LEASE_LOST" });
    assert.deepEqual(outline(await wholeTape(engine, taskId)), ["started", "final"]);
  });

  it("refuses an unknown kind if unknownKinds is refuse, and params that the kind refuses", async () => {
    await using engine = await startEngine(store(), { unknownKinds: "refuse" });
    await assert.rejects(start(engine, { kind: "none" }), { reason: "KIND_UNKNOWN", metadata: { kind: "none" } });
    const refused = { reason: "INVALID_ARGUMENT" };
    await assert.rejects(start(engine, { params: { count: -1 } }), refused);
    await assert.rejects(start(engine, { params: { counts: 1 } }), refused);
    const { tasks } = await engine.listTasks({ limit: 10, beforeTaskId: null, statuses: [], kinds: [], labels: {} });
    assert.deepEqual(tasks, []);
  });

  it("starts one task for a request_id, however many starts arrive at once", async () => {
    await using engine = await startEngine(store());
    const request = taskRequest({ requestId: randomUUID(), params: { count: 1 } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => engine.startTask(request)));
    assert.equal(new Set(answers.map(({ task }) => task.taskId)).size, 1);
    assert.equal(answers.filter(({ alreadyStarted }) => !alreadyStarted).length, 1);
    await outcomeOf(engine, answers[0]!.task.taskId);
    assert.equal((await engine.startTask(request)).alreadyStarted, true);
    await assert.rejects(engine.startTask({ ...request, params: { count: 2 } }), { reason: "REQUEST_ID_REUSED" });
  });

  it("runs at most as many tasks at once as it has slots, oldest first, until all have run", async () => {
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const kind = kindOf("count", async (task) => {
      most = Math.max(most, ++running);
      order.push(task.params.number as number);
      await task.log("INFO", "on");
      await task.flush();
      running--;
    });
    await using engine = await startEngine(store(), { kinds: [kind], slots: 3 });
    const ids: string[] = [];
    for (let number = 0; number < 10; number++) ids.push(await start(engine, { kind: "count", params: { number } }));
    const burst = Array.from({ length: 50 }, () => start(engine, { kind: "count", params: { number: 100 } }));
    for (const taskId of [...ids, ...(await Promise.all(burst))]) await outcomeOf(engine, taskId);
    assert.ok(most <= 3, `${most} ran at once`);
    assert.equal(order.length, 60);
    // Three tasks run side by side, so neighbours may swap. No task waits while much younger tasks overtake it.
    for (let number = 0; number < 10; number++) assert.ok(Math.abs(order.indexOf(number) - number) <= 3, String(order));
  });

  it("does not run a task before its run_at", async () => {
    await using engine = await startEngine(store());
    const taskId = await start(engine, { params: { count: 0 }, runAt: new Date(Date.now() + 800) });
    assert.equal((await engine.getTask(taskId)).status, "pending");
    const { tape } = await outcomeOf(engine, taskId);
    const { runAt, startedAt } = await engine.getTask(taskId);
    assert.ok(startedAt!.getTime() >= runAt!.getTime());
    assert.deepEqual(outline(tape), ["started", "partial", "final"]);
  });

  it("runs one task at a time per exclusive key, and tasks of other keys beside it", async () => {
    const running = new Map<string, number>();
    const meets: string[] = [];
    const run = async (task: {
      params: { key?: unknown };
      flush(): Promise<void>;
      log(level: "INFO", m: string): Promise<void>;
    }) => {
      const key = task.params.key as string;
      running.set(key, (running.get(key) ?? 0) + 1);
      if (running.get(key)! > 1) meets.push(key);
      await task.log("INFO", "in");
      await task.flush();
      running.set(key, running.get(key)! - 1);
    };
    const kind = kindOf("alone", run, { exclusiveKey: (params) => params.key as string });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const keys = ["a", "b", "a", "b", "c", "a"];
    const ids = await Promise.all(keys.map((key) => start(engine, { kind: "alone", params: { key } })));
    for (const taskId of ids) await outcomeOf(engine, taskId);
    assert.deepEqual(meets, []);
    const held = store().db.selectFrom("task_exclusives").select("task_id").where("namespace", "=", engine.namespace);
    assert.deepEqual(await held.execute(), []);
  });

  it("answers TASK_NOT_FOUND for a task of another namespace", async () => {
    await using engine = await startEngine(store());
    const taskId = await start(engine);
    await outcomeOf(engine, taskId);
    await engine[Symbol.asyncDispose]();
    await using other = await startEngine(store());
    const missing = { reason: "TASK_NOT_FOUND" };
    for (const id of [taskId, randomUUID()]) {
      await assert.rejects(other.getTask(id), missing);
      await assert.rejects(other.cancelTask(id, { reason: "", by: null }), missing);
      await assert.rejects(other.readEvents({ taskId: id, fromSeq: 1n, limit: 1, waitMs: 10 }, NEVER), missing);
      await assert.rejects(wholeTape(other, id), missing);
      await assert.rejects(other.waitForResult({ taskId: id, waitMs: 10 }, NEVER), missing);
    }
  });

  it("answers TASK_NOT_TERMINAL to waitForResult until the task has ended", async () => {
    const kind = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "wait" });
    await untilEvent(engine, taskId, "started");
    for (const waitMs of [0, 20]) {
      await assert.rejects(engine.waitForResult({ taskId, waitMs }, NEVER), {
        reason: "TASK_NOT_TERMINAL",
        metadata: { task_id: taskId, current_status: "running" },
      });
    }
    const waiting = engine.waitForResult({ taskId, waitMs: 60_000 }, NEVER);
    await engine.cancelTask(taskId, { reason: "enough", by: null });
    assert.deepEqual((await waiting).error, { reason: "CANCELLED", message: "enough" });
  });
});
