import assert from "node:assert/strict";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { eventually } from "../support/eventually.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import type { CuttingProxy } from "../support/cutting-proxy.ts";
import { kindOf, outcomeOf, start, startRunning, untilStopped } from "../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { outline, steps } from "../support/new-tasks.ts";
import { startServer } from "../support/postgres.ts";
import type { PostgresServer } from "../support/postgres.ts";

const STEPS = 600;

describe("an engine whose database goes away", () => {
  let server: PostgresServer;
  let proxy: CuttingProxy;
  let store: Store;
  before(async () => {
    server = await startServer();
    proxy = await startCuttingProxy(server.url);
    store = await openDatabase({ url: proxy.url });
    await migrate(store.db);
  });
  after(async () => {
    await store?.close();
    await proxy?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(() => server.start());

  /** Returns a kind that counts to STEPS, and waits for a gate after each third. */
  function gated() {
    const reached = [1, 2].map(() => Promise.withResolvers<void>());
    const gates = [1, 2].map(() => Promise.withResolvers<void>());
    const kind = kindOf("gated", async (task) => {
      for (let step = 1; step <= STEPS; step++) {
        await task.progress("step", step);
        const gate = (step * 3) / STEPS - 1;
        reached[gate]?.resolve();
        await gates[gate]?.promise;
      }
      return { steps: STEPS };
    });
    return { kind, reached, gates };
  }

  it("keeps its tasks through an outage that is longer than the lease", async () => {
    const { kind, reached, gates } = gated();
    const leaseMs = 1_000;
    await using engine = await startEngine(store, { kinds: [kind], leaseMs });
    const taskId = await startRunning(engine, { kind: "gated" });
    await reached[0]!.promise;
    await server.stop();
    const downSince = performance.now();
    gates[0]!.resolve();
    await eventually(() => assert.ok(performance.now() - downSince > 2 * leaseMs));
    await server.start();
    gates[1]!.resolve();
    const { status, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, tape.length], ["succeeded", STEPS + 2]);
  });

  for (const way of ["kill", "stop"] as const) {
    it(`continues running tasks after the outage, without a gap on their tapes (${way})`, async () => {
      const { kind, reached, gates } = gated();
      await using engine = await startEngine(store, { kinds: [kind], leaseMs: 60_000 });
      const taskId = await startRunning(engine, { kind: "gated" });
      await reached[0]!.promise;
      await server[way]();
      gates[0]!.resolve();
      await reached[1]!.promise; // The code continues during the outage.
      await server.start();
      gates[1]!.resolve();
      const { status, result, tape } = await outcomeOf(engine, taskId);
      assert.deepEqual([status, result], ["succeeded", { steps: STEPS }]);
      assert.deepEqual(outline(tape), ["started", ...outline(withSeqs(STEPS)), "final"]);
    });
  }

  it("ends tasks after the outage whose code ended during the outage", async () => {
    const gate = Promise.withResolvers<void>();
    const quick = kindOf("quick", () => gate.promise.then(() => ({ done: true })));
    const broken = kindOf("broken", () => gate.promise.then(() => Promise.reject(new Error("no"))));
    await using engine = await startEngine(store, { kinds: [quick, broken], leaseMs: 60_000 });
    const ids = [await startRunning(engine, { kind: "quick" }), await startRunning(engine, { kind: "broken" })];
    const retried = await startRunning(engine, { kind: "broken", maxAttempts: 2 });
    await server.stop();
    gate.resolve();
    await server.start();
    const outcomes = await Promise.all(ids.map((taskId) => outcomeOf(engine, taskId)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["succeeded", "failed"],
    );
    assert.deepEqual(outline((await outcomeOf(engine, retried)).tape), ["started", "retrying", "started", "final"]);
  });

  it("answers reads and cancels with STORE_UNAVAILABLE during the outage", async () => {
    const wait = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store, { kinds: [wait], leaseMs: 60_000 });
    const taskId = await startRunning(engine, { kind: "wait" });
    await server.stop();
    const unavailable = { reason: "STORE_UNAVAILABLE" };
    await assert.rejects(engine.getTask(taskId), unavailable);
    await assert.rejects(engine.cancelTask(taskId, { reason: "", by: null }), unavailable);
    await server.start();
    assert.equal((await engine.cancelTask(taskId, { reason: "", by: null })).outcome, "requested");
    assert.equal((await outcomeOf(engine, taskId)).status, "cancelled");
  });

  it("stops the code of a cancelled task although the answer to the cancel was lost", async () => {
    const wait = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store, { kinds: [wait], leaseMs: 60_000 });
    const taskId = await startRunning(engine, { kind: "wait" });
    const cut = proxy.cutCommitOf("spool_transition"); // The sweeper commits each second too.
    await assert.rejects(engine.cancelTask(taskId, { reason: "lost", by: null }), { reason: "STORE_UNAVAILABLE" });
    await cut;
    const { error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual(error, { reason: "CANCELLED", message: "lost" });
    assert.deepEqual(outline(tape), ["started", "cancel_requested", "final"]);
  });

  it("runs a task whose start was stored although the answer was lost", async () => {
    await using engine = await startEngine(store, { leaseMs: 60_000 });
    await outcomeOf(engine, await start(engine)); // From here on, no task is known to wait.
    const cut = proxy.cutAnswerTo("spool_flush");
    const { task } = await engine.startTask(taskRequest({ params: { count: 1 } }));
    await cut;
    assert.deepEqual(outline((await outcomeOf(engine, task.taskId)).tape), ["started", "progress", "partial", "final"]);
  });

  it("runs a task that it claimed although the answer to the claim was lost", async () => {
    await using engine = await startEngine(store, { leaseMs: 60_000 });
    await outcomeOf(engine, await start(engine));
    const cut = proxy.cutAnswerTo("spool_claim");
    const taskId = await start(engine, { runAt: new Date(0), maxAttempts: 2, params: { count: 0 } });
    await cut;
    const { status, tape } = await outcomeOf(engine, taskId);
    assert.equal(status, "succeeded");
    assert.deepEqual(outline(tape).slice(0, 1), ["started"]);
  });

  it("stops when its halt signal fires during the outage", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("late", async (task) => {
      await gate.promise;
      await task.log("INFO", "late"); // Then the code returns, and its end waits for the database.
    });
    const wait = kindOf("wait", ({ signal }) => untilStopped(signal));
    const engine = await startEngine(store, { kinds: [kind, wait], leaseMs: 60_000, cancelGraceMs: 50 });
    await startRunning(engine, { kind: "late" });
    await startRunning(engine, { kind: "wait" });
    await server.stop();
    gate.resolve();
    const halt = AbortSignal.timeout(100); // Fires while the engine waits for the tasks to end.
    await engine.stop({ drainMs: 300, halt }).catch((error: { reason: string }) => {
      assert.equal(error.reason, "STORE_UNAVAILABLE"); // The session could not be removed.
    });
  });
});

function withSeqs(last: number) {
  return steps(1, last).map((event, index) => ({ ...event, seq: BigInt(index) + 1n, time: new Date(0) }));
}
