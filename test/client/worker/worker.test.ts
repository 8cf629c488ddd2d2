import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { on, once } from "node:events";
import { join } from "node:path";
import { pino } from "pino";
import { worker } from "../../../src/client/client.ts";
import type { SpoolWorker, WorkerNotice, WorkerOptions } from "../../../src/client/client.ts";
import { TaskError } from "../../../src/domain/kind.ts";
import { openGrpcListener } from "../../../src/server/grpc/grpc-listener.ts";
import { kindOf, outcomeOf, start, untilEvent, untilStopped, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { outline } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { oneEngine } from "../../support/one-engine.ts";

const log = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });
const range = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe("a worker of @spooltape/client", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  /** An engine behind an endpoint. */
  async function serve(settings = {}) {
    const engine = await startEngine(store, settings);
    const endpoint = await openGrpcListener({ engines: oneEngine(engine), host: "127.0.0.1", port: 0, log });
    const close = async () => {
      await engine[Symbol.asyncDispose]();
      await endpoint.close({ graceMs: 1_000 });
    };
    return { engine, address: `127.0.0.1:${endpoint.port}`, [Symbol.asyncDispose]: close };
  }

  /** A connected worker and its notices. */
  async function connected(options: WorkerOptions): Promise<SpoolWorker & { notices: WorkerNotice[] }> {
    const notices: WorkerNotice[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const onNotice = (notice: WorkerNotice) => {
      notices.push(notice);
      if (notice.type === "connected") resolve();
    };
    const settings = { concurrency: 4, drainMs: 0, graceMs: 0, signals: false };
    const opened = worker({ ...settings, ...options, onNotice });
    await Promise.race([promise, opened.stopped]);
    return Object.assign(opened, { notices });
  }
  const resumed = (notices: readonly WorkerNotice[]) =>
    notices.flatMap((notice) => (notice.type === "connected" ? [notice.resumed] : []));

  /** A child process that runs a worker, and its messages. */
  async function forked(address: string) {
    const child = fork(join(import.meta.dirname, "../../support/steps-worker.ts"), [address], { execArgv: [] });
    const messages = on(child, "message", { close: ["exit"] });
    const ended = once(child, "exit");
    const next = async (type: string) => {
      for (;;) {
        const { done, value } = await messages.next();
        assert.ok(!done, `it ended before it told of ${type}`);
        const [said] = value as [Record<string, unknown>];
        if (said.type === type) return said;
      }
    };
    await next("connected");
    return {
      child,
      next,
      ended,
      async [Symbol.asyncDispose]() {
        child.kill("SIGKILL");
        await ended;
      },
    };
  }
  const startSteps = async (engine: TestEngine) =>
    start(engine, { kind: "steps", maxAttempts: 3, retryPolicy: { initialBackoffMs: 1, jitter: 0 } });

  it("stores every event in order over a stream that breaks repeatedly or goes silent", async () => {
    await using server = await serve({ leaseMs: 2_000 });
    await using proxy = await startTcpProxy(() => server.address);
    let cuts = 0;
    const emit = kindOf("emit", async (task) => {
      for (const step of range(3_000)) {
        await task.progress("step", step);
        if (step % 250 === 0) {
          if (step === 1_500) proxy.silence();
          else cuts += proxy.cut();
          await task.flush();
        }
      }
    });
    await using running = await connected({ address: proxy.address, kinds: [emit] });
    const taskId = await start(server.engine, { kind: "emit" });
    assert.deepEqual(outline(await wholeTape(server.engine, taskId)), ["started", ...range(3_000), "final"]);
    assert.ok(cuts >= 11, `${cuts} cuts`);
    assert.deepEqual([...new Set(resumed(running.notices).slice(1))], [true]);
  });

  it("gives up waiting for a welcome before its lease expires", async () => {
    await using server = await serve({ leaseMs: 3_000 });
    await using proxy = await startTcpProxy(() => server.address);
    const gate = Promise.withResolvers<void>();
    const slow = kindOf("slow", async (task) => {
      await task.progress("step", 1);
      await gate.promise;
    });
    await using running = await connected({ address: proxy.address, kinds: [slow] });
    const taskId = await start(server.engine, { kind: "slow" });
    await untilEvent(server.engine, taskId, "progress");
    proxy.silenceNext();
    proxy.cut();
    await eventually(() => assert.deepEqual(resumed(running.notices), [false, true]));
    gate.resolve();
    assert.deepEqual(outline(await wholeTape(server.engine, taskId)), ["started", 1, "final"]);
  });

  it("continues when its server is gone for a while", async () => {
    const { namespace, ...first } = await serve().then((server) => ({ ...server, namespace: server.engine.namespace }));
    let address = first.address;
    await using proxy = await startTcpProxy(() => address);
    const gate = Promise.withResolvers<void>();
    const slow = kindOf("slow", async (task) => {
      await task.progress("step", 1);
      await gate.promise;
      await task.progress("step", 2);
    });
    await using running = await connected({ address: proxy.address, kinds: [slow] });
    const taskId = await start(first.engine, { kind: "slow" });
    await untilEvent(first.engine, taskId, "progress");
    await first[Symbol.asyncDispose]();
    await using second = await serve({ namespace });
    address = second.address;
    gate.resolve();
    assert.deepEqual(outline(await wholeTape(second.engine, taskId)), ["started", 1, 2, "final"]);
    assert.deepEqual(resumed(running.notices), [false, true]);
  });

  it("has at most one window of unacknowledged events", async () => {
    await using server = await serve();
    await using proxy = await startTcpProxy(() => server.address);
    let emitted = 0;
    const flood = kindOf("flood", async (task) => {
      await task.progress("step", 0);
      await task.flush();
      proxy.silence();
      for (;;) {
        await task.progress("step", ++emitted);
        task.signal.throwIfAborted();
      }
    });
    await using running = await connected({ address: proxy.address, kinds: [flood] });
    await start(server.engine, { kind: "flood" });
    await eventually(() => assert.equal(emitted, 4_096));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(emitted, 4_096);
    proxy.cut();
    await running.stop();
  });

  it("runs exclusive kinds one at a time and rejects invalid params before an attempt", async () => {
    await using server = await serve();
    let atOnce = 0;
    let most = 0;
    const alone = kindOf(
      "alone",
      async () => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setImmediate(resolve));
        atOnce--;
      },
      { exclusiveKey: ({ key }) => (key === "bad" ? assert.fail("no key") : (key as string)) },
    );
    await using _ = await connected({ address: server.address, kinds: [alone] });
    const taskIds = await Promise.all(
      range(4).map(() => start(server.engine, { kind: "alone", params: { key: "k" } })),
    );
    for (const taskId of taskIds) assert.equal((await outcomeOf(server.engine, taskId)).status, "succeeded");
    assert.equal(most, 1);
    const bad = await outcomeOf(server.engine, await start(server.engine, { kind: "alone", params: { key: "bad" } }));
    assert.deepEqual([bad.status, bad.error?.reason, outline(bad.tape)], ["failed", "KIND_FAILED", ["final"]]);
  });

  it("reports the errors of its code, and fails for good if the code says so", async () => {
    await using server = await serve();
    const failing = kindOf("failing", () => Promise.reject(new TaskError("BAD_ROW", "row 7", { retryable: false })));
    await using running = await connected({ address: server.address, kinds: [failing] });
    const taskId = await start(server.engine, { kind: "failing", maxAttempts: 5 });
    const { error, tape } = await outcomeOf(server.engine, taskId);
    assert.deepEqual([error, outline(tape)], [{ reason: "BAD_ROW", message: "row 7" }, ["started", "final"]]);
    assert.deepEqual(
      running.notices.flatMap((notice) => (notice.type === "threw" ? [(notice.error as TaskError).reason] : [])),
      ["BAD_ROW"],
    );
  });

  it("hands over resumable tasks when it stops, and ends the others by their remaining attempts", async () => {
    await using server = await serve();
    const wait = (name: string, resumable: boolean) =>
      kindOf(name, ({ signal, attempt }) => (attempt > 1 ? Promise.resolve() : untilStopped(signal)), { resumable });
    const kinds = [wait("resumable", true), wait("not", false)];
    const first = await connected({ address: server.address, kinds });
    const taskIds = [await start(server.engine, { kind: "resumable" }), await start(server.engine, { kind: "not" })];
    for (const taskId of taskIds) await untilEvent(server.engine, taskId, "started");
    await first.stop();
    await using _ = await connected({ address: server.address, kinds });
    const [handed, ended] = await Promise.all(taskIds.map((taskId) => outcomeOf(server.engine, taskId)));
    assert.deepEqual([handed!.status, (await server.engine.getTask(taskIds[0]!)).handovers], ["succeeded", 1]);
    assert.deepEqual([ended!.status, ended!.error?.reason], ["failed", "SERVER_SHUTDOWN"]);
    assert.equal((await server.engine.listSessions()).sessions.length, 2);
  });

  it("fails with the reason if the server rejects it", async () => {
    await using server = await serve();
    const nameless = { ...kindOf("ok", () => Promise.resolve()), name: "not a name" };
    const refused = worker({ address: server.address, kinds: [nameless], signals: false });
    await assert.rejects(refused.stopped, { reason: "INVALID_ARGUMENT", message: /^kinds\[0\]\.name: / });
    for (const concurrency of [0, 1.5, 10_001]) {
      assert.throws(() => worker({ kinds: [nameless], concurrency }), /concurrency: must be/);
    }
    assert.throws(() => worker({ kinds: [] }), /kinds: /);
    assert.throws(() => worker({ kinds: [nameless, nameless] }), /kinds: /);
  });

  describe("in its own process", () => {
    it("loses its tasks within the lease if it is stopped; when continued, it is rejected by name and goes on", async () => {
      await using server = await serve({ leaseMs: 1_000 });
      await using process = await forked(server.address);
      const taskId = await startSteps(server.engine);
      assert.equal((await process.next("entered")).attempt, 1);
      process.child.send("step");
      assert.equal((await process.next("stored")).step, 1);
      process.child.kill("SIGSTOP");
      await untilEvent(server.engine, taskId, "retrying");
      await eventually(async () => assert.equal((await server.engine.listSessions()).sessions.length, 1));
      process.child.send("step"); // Emitted before the worker learns that it lost the task.
      process.child.kill("SIGCONT");
      const { attempt, reason } = await process.next("refused");
      assert.deepEqual([attempt, reason], [1, "LEASE_LOST"]);
      assert.equal((await process.next("entered")).attempt, 2);
      process.child.send("return");
      assert.deepEqual(outline(await wholeTape(server.engine, taskId)), ["started", 1, "retrying", "started", "final"]);
    });

    it("has its tasks run by another worker if it is killed", async () => {
      await using server = await serve({ leaseMs: 1_000 });
      const first = await forked(server.address);
      const taskId = await startSteps(server.engine);
      await first.next("entered");
      await first[Symbol.asyncDispose]();
      await using second = await forked(server.address);
      assert.equal((await second.next("entered")).attempt, 2);
      second.child.send("return");
      assert.equal((await outcomeOf(server.engine, taskId)).status, "succeeded");
    });

    it("lets its tasks end, leaves and exits on SIGTERM", async () => {
      await using server = await serve();
      await using process = await forked(server.address);
      const taskId = await startSteps(server.engine);
      await process.next("entered");
      process.child.kill("SIGTERM");
      const waiting = await start(server.engine, { kind: "steps" });
      process.child.send("return");
      await process.next("ended");
      assert.deepEqual(await process.ended, [0, null]);
      assert.equal((await outcomeOf(server.engine, taskId)).status, "succeeded");
      const { status, attempt } = await server.engine.getTask(waiting); // It received no more tasks, although it had room.
      assert.deepEqual([status, attempt], ["pending", 0]);
      assert.equal((await server.engine.listSessions()).sessions.length, 1);
    });
  });
});
