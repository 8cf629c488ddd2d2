import assert from "node:assert/strict";
import pg from "pg";
import { isTerminal } from "../../../src/domain/task.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { eventually } from "../../support/eventually.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { Stage } from "../../support/stage.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

/** With and without notifications, the same must hold; without them it only takes longer. */
for (const notify of [true, false]) {
  describe(`with two servers on one database, notifications ${notify ? "on" : "off"},`, () => {
    let store: TestStore;
    let stage: Stage;
    let first: TestEngine;
    let second: TestEngine;

    before(async () => {
      store = await openPostgres();
    });
    after(() => store?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      stage = new Stage();
      first = await startEngine(store, { kinds: [stage.kind], notify });
      second = await startEngine(store, { kinds: [stage.kind], notify, namespace: first.namespace });
    });
    afterEach(() => Promise.all([first, second].map((engine) => engine?.[Symbol.asyncDispose]())));

    it("a follower at one server reads a task that runs at the other, live and to its end", async () => {
      const actor = stage.actor();
      const { task } = await first.startTask(taskRequest({ kind: "stage", params: actor.params }));
      const running = await actor.enter();
      const follower = follow(second, task.taskId);
      assert.deepEqual(await next(follower), "started");
      await running.log("INFO", "hello");
      assert.deepEqual(await next(follower), "log");
      actor.leave();
      assert.deepEqual(await next(follower), "final");
      assert.equal((await follower.next()).done, true);
    });

    it("a cancel at one server fires the signal of a task at the other", async () => {
      const actor = stage.actor();
      const { task } = await first.startTask(taskRequest({ kind: "stage", params: actor.params }));
      const { signal } = await actor.enter();
      signal.addEventListener("abort", () => actor.fail(signal.reason as Error));
      assert.equal((await second.cancelTask(task.taskId, { reason: "from afar", by: null })).outcome, "requested");
      const { status } = await second.waitForResult({ taskId: task.taskId, waitMs: 10_000 }, never());
      assert.equal(status, "cancelled");
    });

    it("a task that waits for a slot at one server runs at the other", async () => {
      const full = await startEngine(store, { kinds: [stage.kind], notify, slots: 1, namespace: first.namespace });
      const start = async () => {
        const actor = stage.actor();
        return { actor, ...(await full.startTask(taskRequest({ kind: "stage", params: actor.params }))) };
      };
      // The other servers may claim the first tasks, until this server has claimed once.
      const blocking = await eventually(async () => {
        const started = await start();
        if (started.task.status !== "running") started.actor.leave();
        assert.equal(started.task.status, "running");
        return started;
      });
      const waiting = await start();
      assert.equal(waiting.task.status, "pending");
      await waiting.actor.enter();
      blocking.actor.leave();
      waiting.actor.leave();
      const { taskId } = waiting.task;
      const { status } = await full.waitForResult({ taskId, waitMs: 10_000 }, never());
      assert.ok(isTerminal(status));
      await full[Symbol.asyncDispose]();
    });
  });
}

describe("a server without peers", () => {
  it("sends no wakeups", async () => {
    await using store = await openPostgres();
    const heard: string[] = [];
    const listener = new pg.Client(store.url!);
    await listener.connect();
    // A server announces itself when it begins to listen. That payload has no task.
    const hasTask = (payload = "") => !/^[0-9a-f-]{36}$/.test(payload);
    listener.on("notification", ({ payload }) => hasTask(payload) && heard.push(payload!));
    await using alone = await startEngine(store);
    const { rows } = await eventually(async () => {
      const answer = await listener.query<{ channel: string }>(
        "select query as channel from pg_stat_activity where datname = current_database() and query like 'listen %'",
      );
      assert.equal(answer.rows.length, 1);
      return answer;
    });
    await listener.query(rows[0]!.channel);
    const { task } = await alone.startTask(taskRequest({ params: { count: 20 } }));
    await alone.waitForResult({ taskId: task.taskId, waitMs: 10_000 }, never());
    await listener.query("select pg_notify('spool_marker', '')");
    assert.deepEqual(heard, []);
    await using peer = await startEngine(store, { namespace: alone.namespace });
    const started = await peer.startTask(taskRequest({ params: { count: 20 } }));
    await peer.waitForResult({ taskId: started.task.taskId, waitMs: 10_000 }, never());
    await eventually(() => assert.ok(heard.length > 0));
    await listener.end();
  });
});

async function* follow(engine: Engine, taskId: string): AsyncGenerator<TapeEvent> {
  for await (const page of engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: 60_000 }, never())) yield* page.events;
}

async function next(events: AsyncGenerator<TapeEvent>): Promise<string> {
  const { value } = (await events.next()) as { value: TapeEvent };
  return value.type;
}

function never(): AbortSignal {
  return new AbortController().signal;
}
