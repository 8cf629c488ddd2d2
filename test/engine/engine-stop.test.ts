import assert from "node:assert/strict";
import { sql } from "kysely";
import type { JsonObject } from "../../src/domain/json.ts";
import type { TaskContext } from "../../src/domain/kind.ts";
import {
  kindOf,
  outcomeOf,
  start,
  startRunning,
  untilEvent,
  untilStopped,
  wholeTape,
} from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { inHeldTransaction } from "../support/held-transaction.ts";
import { outline } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore, openPostgres } from "../support/stores.ts";

const halt = new AbortController().signal;

describeHeavyOnEachStore("a stopping engine", (store) => {
  const wait = kindOf("wait", ({ signal }) => untilStopped(signal));

  it("waits for running tasks to end", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("gated", async (task) => {
      await gate.promise;
      await task.log("INFO", "done");
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "gated" });
    const stopped = engine.stop({ drainMs: 60_000, halt });
    await assert.rejects(start(engine), { reason: "DRAINING" });
    gate.resolve();
    await stopped;
    const { status, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, outline(tape)], ["succeeded", ["started", "log", "final"]]);
  });

  it("ends tasks that do not end in time, or requeues them if attempts are left", async () => {
    await using engine = await startEngine(store(), { kinds: [wait], slots: 2 });
    const [last, first] = [
      await startRunning(engine, { kind: "wait" }),
      await startRunning(engine, { kind: "wait", maxAttempts: 2 }),
    ];
    const waiting = await start(engine, { kind: "wait" });
    await engine.stop({ drainMs: 0, halt });
    const { status, error, tape } = await outcomeOf(engine, last);
    assert.deepEqual([status, error?.reason, outline(tape)], ["failed", "SERVER_SHUTDOWN", ["started", "final"]]);
    const again = await engine.getTask(first);
    assert.deepEqual([again.status, again.lease, again.attempt, again.lastSeq], ["pending", null, 1, 2n]);
    assert.equal((await engine.getTask(waiting)).status, "pending");
    const { namespace } = engine;
    const sessions = store().db.selectFrom("sessions").select("session_id").where("namespace", "=", namespace);
    assert.deepEqual(await sessions.execute(), []);

    const swift = kindOf("wait", (task) => Promise.resolve({ attempt: task.attempt }));
    await using next = await startEngine(store(), { kinds: [swift], namespace });
    assert.deepEqual((await outcomeOf(next, first)).result, { attempt: 2 });
    assert.deepEqual((await outcomeOf(next, waiting)).result, { attempt: 1 });
    assert.deepEqual(outline(await wholeTape(next, first)), ["started", "retrying", "started", "final"]);
  });

  it("hands over resumable tasks at once, without using up an attempt", async () => {
    const steps = async (task: TaskContext) => {
      const step = Number((await task.lastCheckpoint())?.step ?? 0);
      await task.partial("checkpoint", { step: step + 1 });
      if (task.attempt === 3) return { step, attempt: 3 };
      await task.flush();
      return untilStopped(task.signal);
    };
    const kinds = [kindOf("steps", steps, { resumable: true })];
    await using first = await startEngine(store(), { kinds });
    const taskId = await startRunning(first, { kind: "steps" });
    await untilEvent(first, taskId, "partial");
    await first.stop({ drainMs: 0, halt });
    const waiting = await first.getTask(taskId);
    assert.deepEqual([waiting.status, waiting.attempt, waiting.handovers, waiting.maxAttempts], ["pending", 1, 1, 1]);
    const { namespace } = first;
    await using second = await startEngine(store(), { kinds, namespace });
    await eventually(async () => assert.equal((await second.getTask(taskId)).lastSeq, 5n));
    await second.stop({ drainMs: 0, halt });
    await using third = await startEngine(store(), { kinds, namespace });
    const { status, result, tape } = await outcomeOf(third, taskId);
    assert.deepEqual([status, result], ["succeeded", { step: 2, attempt: 3 }]);
    const handedOver = ["started", "partial", "retrying"];
    assert.deepEqual(outline(tape), [...handedOver, ...handedOver, "started", "partial", "final"]);
    const { error, next_attempt_at: next } = JSON.parse(tape[2]!.body) as {
      error: JsonObject;
      next_attempt_at: string;
    };
    assert.deepEqual([error.reason, Date.parse(next)], ["SERVER_SHUTDOWN", tape[2]!.time.getTime()]);
    assert.equal((await third.getTask(taskId)).handovers, 2);
  });

  it("does not hand over a cancelled task", async () => {
    const release = Promise.withResolvers<void>();
    const kind = kindOf("deaf", () => release.promise, { resumable: true });
    await using engine = await startEngine(store(), { kinds: [kind], cancelGraceMs: 100 });
    const taskId = await startRunning(engine, { kind: "deaf" });
    await engine.cancelTask(taskId, { reason: "enough", by: null });
    await engine.stop({ drainMs: 0, halt });
    assert.equal((await outcomeOf(engine, taskId)).status, "cancelled");
    release.resolve();
  });

  it("takes tasks from code that ignores the stop", async () => {
    const release = Promise.withResolvers<void>();
    const kind = kindOf("deaf", () => release.promise);
    await using engine = await startEngine(store(), { kinds: [kind], cancelGraceMs: 50 });
    const taskId = await startRunning(engine, { kind: "deaf" });
    await engine.stop({ drainMs: 0, halt });
    assert.equal((await outcomeOf(engine, taskId)).error?.reason, "SERVER_SHUTDOWN");
    release.resolve();
  });

  it("leaves no running task behind, even if tasks are being started", async () => {
    for (let round = 0; round < 10; round++) {
      let running = 0;
      const kind = kindOf("counted", async ({ signal }) => {
        running++;
        await untilStopped(signal).finally(() => running--);
      });
      await using engine = await startEngine(store(), { kinds: [kind] });
      await outcomeOf(engine, await start(engine, { params: { count: 0 } }));
      const starts = Array.from({ length: 20 }, () => engine.startTask(taskRequest({ kind: "counted" })));
      await engine.stop({ drainMs: 0, halt });
      const ids = (await Promise.all(starts)).map(({ task }) => task.taskId);
      assert.equal(running, 0);
      for (const taskId of ids) assert.notEqual((await engine.getTask(taskId)).status, "running");
    }
  });
});

describe("an engine whose statements are blocked", () => {
  it("stops when its halt signal fires", async () => {
    await using store = await openPostgres();
    const wait = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store, { kinds: [wait] });
    await startRunning(engine, { kind: "wait" });
    const halting = new AbortController();
    await inHeldTransaction(store.db, async (trx) => {
      await sql`lock table tasks in access exclusive mode`.execute(trx);
      const stopped = engine.stop({ drainMs: 0, halt: halting.signal });
      await eventually(async () => {
        const waiting = sql`select from pg_locks where relation = 'tasks'::regclass and not granted`;
        assert.ok((await waiting.execute(trx)).rows.length > 0);
      });
      halting.abort();
      await stopped; // The lock is still held.
    });
  });
});
