import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { newEvent } from "../../../src/domain/event.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { kindOf, outcomeOf, start, untilEvent, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { outline } from "../../support/new-tasks.ts";
import { offerOf, refOf, ScriptedWorker } from "../../support/scripted-worker.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const range = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describeHeavyOnEachStore("a worker", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });
  const engineOf = (settings = {}) => startEngine(store(), { namespace, ...settings });
  const startMany = (engine: Engine, count: number) =>
    Promise.all(range(count).map(() => start(engine, { kind: "remote" })));

  it("never gets more tasks than its capacity, and gets the next task when one has ended", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine, { capacity: 2 });
    const taskIds = await startMany(engine, 5);
    for (const ended of range(5)) {
      const ref = refOf(await worker.next("assign", ended));
      assert.ok(worker.told("assign").length - worker.told("finished").length <= 2);
      await worker.finish(ref, 1);
      await worker.next("finished", ended);
    }
    assert.deepEqual(new Set(worker.told("assign").map(({ task }) => task.taskId)), new Set(taskIds));
  });

  it("shares the load with another worker: the one with more free slots gets the next task", async () => {
    await using engine = await engineOf();
    const connect = async (capacity: number) => {
      const own = `own-${capacity}`;
      const worker = await ScriptedWorker.connect(engine, { capacity, kinds: [offerOf("remote"), offerOf(own)] });
      // Until its first claim is over, the worker gets no task at once.
      let started = 0;
      await eventually(async () => {
        started++;
        const { task } = await engine.startTask(taskRequest({ kind: own }));
        await worker.finish(refOf(await worker.next("assign", started)), 1);
        await worker.next("finished", started);
        assert.equal(task.status, "running");
      });
      return { worker, given: () => worker.told("assign").filter(({ task }) => task.kind === "remote").length };
    };
    const [large, small] = [await connect(12), await connect(4)];
    await startMany(engine, 12);
    await eventually(() => assert.equal(large.given() + small.given(), 12));
    assert.deepEqual([large.given(), small.given()], [10, 2]);
    await large.worker.drop();
    await small.worker.drop();
  });

  it("whose stream is silent gets no tasks, and then its stream is ended", async () => {
    await using engine = await engineOf({ leaseMs: 1_000 });
    await using silent = await ScriptedWorker.connect(engine, { capacity: 100 });
    const first = await start(engine, { kind: "remote", maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } });
    assert.equal(refOf(await silent.next("assign")).taskId, first);
    await using alive = await ScriptedWorker.connect(engine, { capacity: 1 });
    const beating = setInterval(() => alive.markAlive(), 50);
    try {
      assert.equal((await silent.over()).reason, "WORKER_SILENT");
      const others = await startMany(engine, 3);
      await untilEvent(engine, first, "retrying");
      for (const ended of range(4)) {
        await alive.finish(refOf(await alive.next("assign", ended)), 1);
        await alive.next("finished", ended);
      }
      const taskIds = alive.told("assign").map(({ task }) => task.taskId);
      assert.deepEqual(new Set(taskIds), new Set([first, ...others]));
      assert.equal(silent.told("assign").length, 1);
    } finally {
      clearInterval(beating);
    }
  });

  it("has each gap and each duplicate refused with a reason, and continues; other tasks are not affected", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine);
    const [one, other] = [await start(engine, { kind: "remote" }), await start(engine, { kind: "remote" })];
    await worker.next("assign", 2);
    const [ref, untouched] = [one, other].map((taskId) => ({ taskId, attempt: 1 })) as [
      { taskId: string; attempt: number },
      { taskId: string; attempt: number },
    ];
    const refused = async (count: number) => {
      const { error, appended, taskId } = await worker.next("refused", count);
      assert.equal(taskId, ref.taskId);
      return [error.reason, appended];
    };
    await worker.append(ref, 2);
    assert.deepEqual(await refused(1), ["APPEND_GAP", 0n]);
    await worker.append(ref, 1, 2);
    await worker.append(ref, 1, 2, 3);
    await worker.append(ref, 5);
    assert.deepEqual(await refused(2), ["APPEND_GAP", 3n]);
    await worker.finish(ref, 5);
    assert.deepEqual(await refused(3), ["APPEND_GAP", 3n]);
    await worker.finish(ref, 3);
    assert.deepEqual(await refused(4), ["OUT_OF_PLACE", 3n]);
    await worker.append({ ...ref, attempt: 2 }, 1);
    assert.equal((await worker.next("lease_lost")).attempt, 2);
    await worker.append(untouched, 1);
    await worker.finish(ref, 4);
    await worker.append(ref, 4);
    assert.equal((await refused(5))[0], "OUT_OF_PLACE");
    await worker.finish(untouched, 2);
    await worker.next("finished", 2);
    await worker.append(ref, 1); // The attempt is over: only its stored events are acknowledged.
    await worker.finish(ref, 4);
    await worker.next("finished", 3);
    await worker.append(ref, 4, 5, 6);
    await worker.next("lease_lost", 2);
    assert.deepEqual(outline(await wholeTape(engine, one)), ["started", 1, 2, 3, "final"]);
    assert.deepEqual(outline(await wholeTape(engine, other)), ["started", 1, "final"]);
  });

  it("can append more at once than a tape has room for: the events wait, and are stored", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine);
    const taskId = await start(engine, { kind: "remote" });
    const ref = refOf(await worker.next("assign"));
    const message = "\x01".repeat(40_000); // 240 KB as JSON: a hundred of them are 24 MB.
    const events = range(100).map(() => newEvent("log", { level: "INFO", message }));
    await worker.appendAll(ref, 1, events);
    await worker.finish(ref, 101);
    await worker.next("finished");
    assert.equal(worker.told("appended").at(-1)!.through, 100n);
    assert.equal((await wholeTape(engine, taskId)).length, 102);
  });

  it("gets an acknowledgement only when its events are stored", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine);
    const taskId = await start(engine, { kind: "remote" });
    const ref = refOf(await worker.next("assign"));
    let seen = 0n;
    for (const step of range(50)) {
      await worker.append(ref, step);
      if (step % 10 === 0) {
        await eventually(() => assert.equal(worker.told("appended").at(-1)?.through, BigInt(step)));
        for (const { through } of worker.told("appended")) {
          assert.ok(through >= seen || through <= BigInt(step));
          seen = through;
        }
        const query = { taskId, fromSeq: 1n, limit: 1_000, waitMs: 0 };
        const { events } = await engine.readEvents(query, new AbortController().signal);
        assert.equal(events.length, step + 1);
      }
    }
    await worker.finish(ref, 51);
    await worker.next("finished");
    assert.equal(worker.told("appended").at(-1)!.through, 50n);
  });

  it("loses a cancelled task whose code does not stop, and is notified", async () => {
    await using engine = await engineOf({ cancelGraceMs: 20 });
    await using worker = await ScriptedWorker.connect(engine);
    const taskId = await start(engine, { kind: "remote" });
    const ref = refOf(await worker.next("assign"));
    await engine.cancelTask(taskId, { reason: "enough", by: null });
    assert.deepEqual(await worker.next("stop").then(({ because, graceMs }) => [because, graceMs]), ["cancel", 20]);
    assert.deepEqual(outline(await wholeTape(engine, taskId)), ["started", "cancel_requested", "final"]);
    assert.equal((await worker.next("lease_lost")).taskId, taskId);
    await worker.append(ref, 1);
    await worker.finish(ref, 1);
    await worker.next("lease_lost", 3);
    assert.equal((await engine.getTask(taskId)).status, "cancelled");
  });

  it("validates the params of an exclusive kind before its tasks can run", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine, { kinds: [offerOf("remote", { isExclusive: true })] });
    const [one, two] = [await start(engine, { kind: "remote" }), await start(engine, { kind: "remote" })];
    await worker.next("check", 2);
    assert.deepEqual(worker.told("assign"), []);
    for (const taskId of [one, two]) worker.checked(taskId, "the one key");
    const first = refOf(await worker.next("assign"));
    assert.equal((await engine.getTask(first.taskId)).exclusiveKey, "the one key");
    await worker.append(first, 1);
    await worker.next("appended");
    assert.equal(worker.told("assign").length, 1);
    await worker.finish(first, 2);
    const second = refOf(await worker.next("assign", 2));
    assert.deepEqual(new Set([first.taskId, second.taskId]), new Set([one, two]));
    await worker.finish(second, 1);
    assert.equal((await outcomeOf(engine, second.taskId)).status, "succeeded");
  });

  it("shares a kind with the server itself", async () => {
    const gate = Promise.withResolvers<void>();
    await using engine = await engineOf({ slots: 2, kinds: [kindOf("remote", () => gate.promise)] });
    await using worker = await ScriptedWorker.connect(engine, { capacity: 2 });
    const taskIds = await startMany(engine, 4);
    // Before all of them run, a slot that the worker frees would take another of them.
    for (const taskId of taskIds) await untilEvent(engine, taskId, "started");
    await worker.next("assign", 2);
    gate.resolve();
    for (const { task } of worker.told("assign")) await worker.finish(refOf({ task } as never), 1);
    for (const taskId of taskIds) assert.equal((await outcomeOf(engine, taskId)).status, "succeeded");
    assert.equal(worker.told("assign").length, 2);
  });

  it("is listed as a worker, with the number of its running tasks", async () => {
    await using engine = await engineOf();
    await using worker = await ScriptedWorker.connect(engine, { capacity: 3, host: "elsewhere", pid: 7 });
    await start(engine, { kind: "remote" });
    await worker.next("assign");
    const { sessions } = await engine.listSessions();
    const listed = sessions.find(({ sessionId }) => sessionId === worker.welcome.sessionId)!;
    const { host, pid, kinds, capacity, running, isWorker } = listed;
    assert.deepEqual(
      { host, pid, kinds, capacity, running, isWorker },
      { host: "elsewhere", pid: 7, kinds: ["remote"], capacity: 3, running: 1, isWorker: true },
    );
    await worker.leave();
    assert.equal((await engine.listSessions()).sessions.length, 1);
  });

  it("leaves a validation to the next worker when its stream ends", async () => {
    await using engine = await engineOf();
    const kinds = [offerOf("remote", { isExclusive: true })];
    const worker = await ScriptedWorker.connect(engine, { kinds });
    const taskId = await start(engine, { kind: "remote" });
    await worker.drop();
    await using again = await ScriptedWorker.connect(engine, { kinds });
    assert.equal((await again.next("check")).taskId, taskId);
    again.checked(taskId, "");
    await again.next("assign");
  });

  it("can drain and disconnect while the server shuts down, and does not delay the shutdown", async () => {
    await using engine = await engineOf();
    const worker = await ScriptedWorker.connect(engine);
    await start(engine, { kind: "remote" });
    await worker.next("assign");
    const stopped = engine.stop({ drainMs: 0, halt: AbortSignal.timeout(10_000) });
    void worker.stopAssigning();
    void worker.drop();
    await start(engine, { kind: "remote" }).catch(() => {});
    await stopped;
  });

  it("gets no tasks before it has answered its Welcome, because its token may have been lost", async () => {
    await using engine = await engineOf();
    const kinds = [offerOf("remote")];
    const hello = { kinds, capacity: 8, resumeToken: null, running: [], host: "host", pid: 1, isDraining: false };
    const told: string[] = [];
    const unheard = await engine.connectWorker(hello, ({ type }) => told.push(type));
    const taskId = await start(engine, { kind: "remote" });
    await using worker = await ScriptedWorker.connect(engine);
    assert.equal(refOf(await worker.next("assign")).taskId, taskId);
    assert.deepEqual(told, ["welcome"]);
    await unheard.close();
  });

  it("that drains is notified when no task is on its way, and releases its tasks when it leaves", async () => {
    await using engine = await engineOf();
    const kinds = [offerOf("remote", { resumable: true })];
    await using other = await ScriptedWorker.connect(engine, { kinds, isDraining: true });
    await other.next("drained");
    for (const attempt of range(20)) {
      const worker = await ScriptedWorker.connect(engine, { kinds });
      const starts = startMany(engine, attempt % 4);
      await worker.stopAssigning();
      await worker.next("drained");
      const given = worker.told("assign").length;
      await starts;
      assert.equal(worker.told("assign").length, given);
      await worker.leave();
    }
    await using last = await ScriptedWorker.connect(engine, { kinds, capacity: 100 });
    await last.next("assign", 30);
    for (const { task } of last.told("assign"))
      assert.deepEqual([task.maxAttempts, task.attempt - task.handovers], [1, 1]);
    assert.deepEqual(other.told("assign"), []);
  });

  it("that drains gets no more tasks", async () => {
    await using engine = await engineOf();
    await using drained = await ScriptedWorker.connect(engine, { isDraining: true });
    const { task } = await engine.startTask(taskRequest({ kind: "remote" }));
    assert.deepEqual([task.status, task.awaitsWorker], ["pending", false]);
    await using worker = await ScriptedWorker.connect(engine);
    await worker.finish(refOf(await worker.next("assign")), 1);
    await worker.next("finished");
    assert.deepEqual(drained.told("assign"), []);
  });
});
