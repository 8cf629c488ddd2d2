import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { sql } from "kysely";
import { outcomeOf, start, untilEvent, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { createRunning, outline } from "../../support/new-tasks.ts";
import { beginTask, offerOf, refOf, ScriptedWorker } from "../../support/scripted-worker.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("a worker that moves from one server to another", () => {
  let store: TestStore;
  let namespace: string;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());
  beforeEach(() => {
    namespace = randomUUID();
  });
  const engineOf = (settings = {}) => startEngine(store, { namespace, ...settings });

  it("has its former stream ended by a server that does not know of the move yet", async () => {
    await using first = await engineOf({ leaseMs: 1_000 });
    await using second = await engineOf({ leaseMs: 1_000 });
    const { worker, ref, token } = await beginTask(first);
    const beating = setInterval(() => worker.markAlive(), 100); // The old stream seems alive.
    await using again = await ScriptedWorker.connect(second, { resumeToken: token, running: [ref] });
    const still = setInterval(() => again.markAlive(), 100);
    try {
      assert.equal((await worker.over()).reason, "SESSION_LOST");
      await again.append(ref, 1);
      await again.finish(ref, 2);
      await again.next("finished");
      assert.equal((await outcomeOf(second, ref.taskId)).status, "succeeded");
    } finally {
      clearInterval(beating);
      clearInterval(still);
    }
  });

  it("releases a task that it never received, for a new attempt that does not count", async () => {
    await using engine = await engineOf();
    const { worker, ref, token } = await beginTask(engine);
    await worker.append(ref, 1, 2);
    await worker.next("appended");
    await worker.drop();
    await using again = await ScriptedWorker.connect(engine, { resumeToken: token });
    assert.deepEqual([again.welcome.resumed, again.welcome.held], [true, []]);
    const { task } = await again.next("assign");
    assert.deepEqual([task.taskId, task.attempt, task.handovers, task.maxAttempts], [ref.taskId, 2, 1, 1]);
    await again.append(ref, 3); // Of the attempt that the worker did not list in its Hello.
    await again.next("lease_lost");
    await again.append({ ...ref, attempt: 2 }, 1);
    await again.finish({ ...ref, attempt: 2 }, 2);
    await again.next("finished");
    const tape = outline(await wholeTape(engine, ref.taskId));
    assert.deepEqual(tape, ["started", 1, 2, "retrying", "started", 1, "final"]);
  });

  it("gets no more tasks than its capacity while its former server still assigns tasks to it", async () => {
    await using first = await engineOf({ leaseMs: 3_000 });
    await using second = await engineOf({ leaseMs: 3_000 });
    const { worker, ref, token } = await beginTask(first, {}, { capacity: 2 });
    const beating = setInterval(() => worker.markAlive(), 50); // The old stream seems alive.
    await using again = await ScriptedWorker.connect(second, { resumeToken: token, running: [ref], capacity: 2 });
    const still = setInterval(() => again.markAlive(), 50);
    try {
      const taskIds = await Promise.all([1, 2, 3].map(() => start(first, { kind: "remote" })));
      let ended = 0;
      await again.finish(ref, 1);
      while (ended < taskIds.length) {
        const assigned = await again.next("assign", ended + 1);
        assert.ok(again.told("assign").length - ended <= 2);
        await again.finish(refOf(assigned), 1);
        ended++;
      }
      for (const taskId of taskIds) assert.equal((await outcomeOf(second, taskId)).status, "succeeded");
    } finally {
      clearInterval(beating);
      clearInterval(still);
    }
  });

  it("keeps the tasks that its new server assigned, whatever its former server does", async () => {
    await using first = await engineOf({ leaseMs: 60_000 });
    await using second = await engineOf({ leaseMs: 60_000 });
    const { worker, token } = await beginTask(first);
    const { taskId } = refOf(await worker.next("assign"));
    await using again = await ScriptedWorker.connect(second, { resumeToken: token, running: [{ taskId, attempt: 1 }] });
    const other = await start(second, { kind: "remote", maxAttempts: 2 });
    const ref = refOf(await again.next("assign"));
    assert.equal(ref.taskId, other);
    // The former server does not know that the worker has moved, and checks for unstarted tasks every second.
    const until = performance.now() + 4_500;
    let step = 0;
    do {
      worker.markAlive();
      await again.append(ref, ++step);
      await again.next("appended", step);
      await setTimeout(50);
    } while (performance.now() < until);
    await again.finish(ref, step + 1);
    await again.next("finished");
    assert.deepEqual(again.told("lease_lost"), []);
    // The former server may have claimed the task before, for the stream that the worker has left.
    assert.equal((await second.getTask(other)).attempt, ref.attempt);
  });

  it("resumes its tasks at another server when its own has shut down", async () => {
    const first = await engineOf();
    await using second = await engineOf();
    const { worker, ref, token } = await beginTask(first);
    await worker.append(ref, 1);
    const stopped = first[Symbol.asyncDispose]();
    await worker.next("drain");
    assert.equal((await worker.over()).reason, "DRAINING");
    await stopped;
    await using again = await ScriptedWorker.connect(second, { resumeToken: token, running: [ref] });
    assert.deepEqual(again.welcome.held, [{ ...ref, appended: 1n }]);
    await again.finish(ref, 2);
    await again.next("finished");
    assert.deepEqual(outline(await wholeTape(second, ref.taskId)), ["started", 1, "final"]);
  });

  it("resumes its tasks after a time without any server that is longer than its lease", async () => {
    const first = await engineOf({ leaseMs: 1_000 });
    const { ref, token } = await beginTask(first);
    await first[Symbol.asyncDispose]();
    await sql`update sessions set expires_at = now() - interval '1 hour' where namespace = ${namespace}`.execute(
      store.db,
    );
    const { taskId: lost } = await createRunning(store.db, { namespace, kind: "remote" }); // Without an owner.
    await using second = await engineOf({ leaseMs: 10_000 });
    await untilEvent(second, lost, "final"); // It has swept.
    await using again = await ScriptedWorker.connect(second, { resumeToken: token, running: [ref] });
    assert.deepEqual(again.welcome.held, [{ ...ref, appended: 0n }]);
    await again.finish(ref, 1);
    await again.next("finished");
  });

  it("hands over the tasks that it releases before it leaves", async () => {
    await using engine = await engineOf();
    const kinds = [offerOf("remote", { resumable: true })];
    const { worker, ref } = await beginTask(engine, {}, { kinds });
    await using other = await ScriptedWorker.connect(engine, { kinds });
    await worker.append(ref, 1);
    await worker.stopAssigning(); // Else it may be given the task again before it leaves.
    await worker.next("drained");
    await worker.finish(ref, 2, { type: "released" });
    await worker.next("finished");
    await worker.leave();
    const assigned = await other.next("assign");
    assert.deepEqual(refOf(assigned), { ...ref, attempt: 2 });
    assert.deepEqual([assigned.task.handovers, assigned.task.maxAttempts], [1, 1]);
    await other.finish(refOf(assigned), 1);
    await other.next("finished");
    assert.equal((await engine.listSessions()).sessions.length, 2);
  });
});
