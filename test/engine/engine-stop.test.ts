import assert from "node:assert/strict";
import { kindOf, outcomeOf, start, startRunning, untilStopped, wholeTape } from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { outline } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

const halt = new AbortController().signal;

describeOnEachStore("an engine that is stopped", (store) => {
  const wait = kindOf("wait", ({ signal }) => untilStopped(signal));

  it("lets what runs come to its end first", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("gated", async (task) => {
      await gate.promise;
      await task.log("INFO", "done");
    });
    const engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "gated" });
    const stopped = engine.stop({ drainMs: 60_000, halt });
    await assert.rejects(start(engine), { reason: "DRAINING" });
    gate.resolve();
    await stopped;
    const { status, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, outline(tape)], ["succeeded", ["started", "log", "final"]]);
  });

  it("ends what does not, or gives it back where attempts are left", async () => {
    const engine = await startEngine(store(), { kinds: [wait], slots: 2 });
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

  it("takes what is deaf to it away", async () => {
    const release = Promise.withResolvers<void>();
    const kind = kindOf("deaf", () => release.promise);
    const engine = await startEngine(store(), { kinds: [kind], cancelGraceMs: 50 });
    const taskId = await startRunning(engine, { kind: "deaf" });
    await engine.stop({ drainMs: 0, halt });
    assert.equal((await outcomeOf(engine, taskId)).error?.reason, "SERVER_SHUTDOWN");
    release.resolve();
  });

  it("leaves nothing behind that runs, though tasks are being started", async () => {
    for (let round = 0; round < 10; round++) {
      let running = 0;
      const kind = kindOf("counted", async ({ signal }) => {
        running++;
        await untilStopped(signal).finally(() => running--);
      });
      const engine = await startEngine(store(), { kinds: [kind] });
      await outcomeOf(engine, await start(engine, { params: { count: 0 } }));
      const starts = Array.from({ length: 20 }, () => engine.startTask(taskRequest({ kind: "counted" })));
      await engine.stop({ drainMs: 0, halt });
      const ids = (await Promise.all(starts)).map(({ task }) => task.taskId);
      assert.equal(running, 0);
      for (const taskId of ids) assert.notEqual((await engine.getTask(taskId)).status, "running");
    }
  });
});
