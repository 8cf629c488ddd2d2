import assert from "node:assert/strict";
import { PAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";
import { kindOf, remote, start, startRunning, untilStopped, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { outline } from "../../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;
const FAR_MS = 60_000;

describeHeavyOnEachStore("a long poll", (store) => {
  const read = (engine: Awaited<ReturnType<typeof startEngine>>, taskId: string, fromSeq: bigint, waitMs: number) =>
    engine.readEvents({ taskId, fromSeq, limit: 100, waitMs }, NEVER);

  it("returns stored events at once", async () => {
    const { kind, emit, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    await emit();
    const page = await read(engine, taskId, 1n, FAR_MS);
    assert.deepEqual([page.events.length, page.nextFromSeq, page.lastSeq, page.hasMore], [2, 3n, 2n, false]);
    end();
  });

  it("returns at an event, and at the end of the task", async () => {
    const { kind, emit, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    const woken = read(engine, taskId, 2n, FAR_MS);
    await emit();
    assert.deepEqual(
      (await woken).events.map(({ type }) => type),
      ["log"],
    );
    const ended = read(engine, taskId, 3n, FAR_MS);
    end();
    const page = await ended;
    assert.deepEqual([page.status, page.events.map(({ type }) => type)], ["succeeded", ["final"]]);
    const past = await read(engine, taskId, 9_999n, FAR_MS);
    assert.deepEqual([past.events, past.nextFromSeq, past.lastSeq, past.hasMore], [[], 9_999n, 3n, false]);
  });

  it("past the live end returns only at the end of the task", async () => {
    const { kind, emit, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    const waiting = read(engine, taskId, 100n, FAR_MS);
    await emit();
    end();
    const page = await waiting;
    assert.deepEqual([page.status, page.events, page.nextFromSeq], ["succeeded", [], 100n]);
  });

  it("returns an empty page when its wait times out", async () => {
    const { kind, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    for (const waitMs of [0, 30]) {
      const page = await read(engine, taskId, 2n, waitMs);
      assert.deepEqual([page.status, page.events, page.nextFromSeq, page.hasMore], ["running", [], 2n, false]);
    }
    end();
  });

  it("is not woken by another task", async () => {
    const [one, two] = [remote(), remote()];
    await using engine = await startEngine(store(), { kinds: [one.kind, { ...two.kind, name: "other" }] });
    const taskId = await startRunning(engine, { kind: "remote" });
    const other = await startRunning(engine, { kind: "other" });
    let isWoken = false;
    const waiting = read(engine, taskId, 2n, FAR_MS).then((page) => ((isWoken = true), page));
    for (let count = 0; count < 10; count++) await two.emit();
    two.end();
    await wholeTape(engine, other);
    assert.equal(isWoken, false);
    await one.emit();
    assert.deepEqual(
      (await waiting).events.map(({ seq }) => seq),
      [2n],
    );
    one.end();
  });

  it("rejects with the signal's reason, before and during its wait, like a stream and a wait for the end", async () => {
    const { kind, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    const reason = new Error("left");
    await assert.rejects(
      engine.readEvents({ taskId, fromSeq: 2n, limit: 1, waitMs: FAR_MS }, AbortSignal.abort(reason)),
      reason,
    );
    const controller = new AbortController();
    const waiting = engine.readEvents({ taskId, fromSeq: 2n, limit: 1, waitMs: FAR_MS }, controller.signal);
    const following = wholeTape(engine, taskId, controller.signal);
    const ended = engine.waitForResult({ taskId, waitMs: FAR_MS }, controller.signal);
    const rejections = [waiting, following, ended].map((call) => assert.rejects(call, reason));
    controller.abort(reason);
    await Promise.all(rejections);
    end();
  });
});

describeHeavyOnEachStore("a follower", (store) => {
  async function follow(engine: Awaited<ReturnType<typeof startEngine>>, taskId: string, fromSeq: bigint) {
    const pages: TapePage[] = [];
    for await (const page of engine.followTape({ taskId, fromSeq, heartbeatMs: FAR_MS }, NEVER)) pages.push(page);
    return pages;
  }

  it("gets the same tape from any position, while the task runs and afterwards", async () => {
    const gate = Promise.withResolvers<void>();
    const many = kindOf("many", async (task) => {
      for (let step = 0; step < 3_000; step++) await task.log("INFO", "text");
      await task.flush();
      await gate.promise;
    });
    await using engine = await startEngine(store(), { kinds: [many] });
    const taskId = await start(engine, { kind: "many" });
    await engine.readEvents({ taskId, fromSeq: 3_001n, limit: 1, waitMs: FAR_MS }, NEVER);
    const following = [1n, 2n, 100n, 2_999n, 3_002n].map((fromSeq) => follow(engine, taskId, fromSeq));
    gate.resolve();
    const live = await Promise.all(following);
    const tape = await wholeTape(engine, taskId);
    assert.equal(tape.length, 3_002);
    for (const pages of live) {
      const events = pages.flatMap((page) => page.events);
      assert.deepEqual(events, tape.slice(tape.length - events.length));
      assert.equal(events.at(-1)?.type, "final");
    }
    assert.deepEqual(
      live.map((pages) => pages.flatMap((page) => page.events).length),
      [3_002, 3_001, 2_903, 4, 1],
    );
    const past = await follow(engine, taskId, 3_003n);
    assert.deepEqual(
      past.map(({ events, nextFromSeq }) => [events, nextFromSeq]),
      [[[], 3_003n]],
    );
  });

  it("gets its first page at once, and heartbeats, even if they are empty", async () => {
    const { kind, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    let pages = 0;
    for await (const page of engine.followTape({ taskId, fromSeq: 2n, heartbeatMs: 20 }, NEVER)) {
      if (++pages < 4) assert.deepEqual([page.events, page.nextFromSeq, page.lastSeq], [[], 2n, 1n]);
      else end();
    }
    assert.ok(pages >= 5);
  });

  it("shares its pages with another follower at the same position while the tape is in memory", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("many", async (task) => {
      await gate.promise;
      for (let step = 0; step < 2_500; step++) await task.log("INFO", "text");
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "many" });
    const open = () => engine.followTape({ taskId, fromSeq: 2n, heartbeatMs: FAR_MS }, NEVER)[Symbol.asyncIterator]();
    const [one, other] = [open(), open()];
    await Promise.all([one.next(), other.next()]); // They are there, and wait.
    gate.resolve();
    await engine.waitForResult({ taskId, waitMs: FAR_MS }, NEVER);
    for (;;) {
      const [mine, its] = [await one.next(), await other.next()];
      assert.equal(mine.value, its.value);
      if (mine.done === true) break;
    }
  });

  it("gets the current tape, as does GetEvents, whatever pages other followers got before", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("many", async (task) => {
      for (let step = 0; step < 1_500; step++) await task.log("INFO", "text");
      await task.flush();
      await gate.promise;
      for (let step = 0; step < 5_000; step++) await task.log("INFO", "text");
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "many" });
    await engine.readEvents({ taskId, fromSeq: 1_501n, limit: 1, waitMs: FAR_MS }, NEVER);
    const open = () => engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: FAR_MS }, NEVER)[Symbol.asyncIterator]();
    const followers = [open(), open()];
    for (const follower of followers) assert.equal((await follower.next()).value!.nextFromSeq, 1_001n);
    gate.resolve();
    await engine.waitForResult({ taskId, waitMs: FAR_MS }, NEVER);
    const page = await engine.readEvents({ taskId, fromSeq: 1n, limit: 1_000, waitMs: 0 }, NEVER);
    assert.deepEqual([page.status, page.lastSeq, page.hasMore], ["succeeded", 6_502n, true]);
    const late = open();
    assert.equal((await late.next()).value!.lastSeq, 6_502n);
    for (const follower of [late, ...followers]) await follower.return!();
  });

  it("gets the end of the tape even if the signal fires, if the end was stored before that", async () => {
    const { kind, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" });
    const controller = new AbortController();
    const pages = engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: FAR_MS }, controller.signal);
    const types: string[] = [];
    for await (const page of pages) {
      types.push(...page.events.map(({ type }) => type));
      if (controller.signal.aborted) continue;
      end();
      assert.equal((await engine.waitForResult({ taskId, waitMs: FAR_MS }, NEVER)).status, "succeeded");
      controller.abort(new Error("the server stops"));
    }
    assert.equal(types.at(-1), "final");
  });

  it("that leaves does not change the tape", async () => {
    const { kind, emit, end } = remote();
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "remote" }); // It has followed until then, and left.
    await emit();
    end();
    assert.deepEqual(outline(await wholeTape(engine, taskId)), ["started", "log", "final"]);
  });

  it("gets pages that are bounded in bytes, live and stored", async () => {
    const kind = kindOf("large", async (task) => {
      for (let count = 0; count < 24; count++) await task.log("INFO", "x".repeat(200 * 1024));
      await untilStopped(task.signal).catch(() => {});
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "large" });
    const live = follow(engine, taskId, 1n);
    await engine.cancelTask(taskId, { reason: "", by: null });
    for (const pages of [await live, await follow(engine, taskId, 1n)]) {
      assert.equal(pages.flatMap(({ events }) => events).length, 27);
      for (const { events } of pages) {
        const bytes = events.slice(0, -1).reduce((sum, { body }) => sum + body.length, 0);
        assert.ok(bytes < PAGE_BYTES_MAX, `${bytes} bytes before the last event of a page`);
      }
    }
  });
});
