import assert from "node:assert/strict";
import { TaskExpired } from "../../../src/domain/errors.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { StandbyOutcome } from "../../../src/engine/read/standby-reads.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { ask, startPair } from "../../fault/support/failing-over.ts";
import type { PostgresPair } from "../../fault/support/failing-over.ts";
import { remote, start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { createEnded, storedTape } from "../../support/new-tasks.ts";

const NEVER = new AbortController().signal;
const EVENTS = 3_500;
const ALL = { limit: 10, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
const LAST_HOUR = { windowMs: 3_600_000, stepMs: 60_000, kinds: [] };
const SAME = "the standby has what the primary has";

// The tests run in order, on one pair of servers: the last ones stop the standby and promote it.
describe("reads of a standby", function () {
  this.timeout(30_000);
  let pair: PostgresPair;
  let store: Store;
  let engine: TestEngine;
  const running = remote();
  before(async () => {
    pair = await startPair({ isSynchronous: false });
    store = await openDatabase({ url: pair.primary.url });
    await migrate(store.db);
    engine = await startEngine(store, { standbyUrl: pair.standby.url, kinds: [running.kind] });
  });
  after(async () => {
    running.end();
    await engine?.[Symbol.asyncDispose]();
    await store?.close();
    await pair?.[Symbol.asyncDispose]();
  });

  /** Stores a task that has ended. It has no session, so it comes to the engine's namespace only after its end. */
  async function ended(events = EVENTS): Promise<string> {
    const taskId = await createEnded(store.db, { namespace: "elsewhere", agoMs: 1_000, events });
    await ask(pair.primary.url, "update tasks set namespace = $2 where task_id = $1", [taskId, engine.namespace]);
    return taskId;
  }

  const onStandby = (statement: string) => ask(pair.standby.url, statement);

  /** Waits until the standby has replayed all that the primary has written so far, and is used. */
  async function caughtUp(): Promise<void> {
    const [row] = await ask(pair.primary.url, "select pg_current_wal_insert_lsn()::text as lsn");
    const hasAll = async () => {
      const [at] = await onStandby(`select pg_last_wal_replay_lsn() >= '${String(row!["lsn"])}' as "hasAll"`);
      assert.ok(at!["hasAll"]);
    };
    await eventually(hasAll, { describe: SAME });
    await eventually(() => assert.ok(engine.standby.isUp), { describe: "the standby is used" });
  }

  /** Returns how the reads ended that a standby may serve, meanwhile. */
  async function outcomesOf(read: () => Promise<unknown>): Promise<StandbyOutcome[]> {
    const before = engine.standby.stats()!.reads;
    await read();
    const { reads } = engine.standby.stats()!;
    return (["standby", "behind", "failed"] as const).flatMap((outcome) =>
      Array<StandbyOutcome>(reads[outcome] - before[outcome]).fill(outcome),
    );
  }

  async function paused(work: () => Promise<void>): Promise<void> {
    await onStandby("select pg_wal_replay_pause()");
    const isPaused = async () => {
      const [row] = await onStandby("select pg_get_wal_replay_pause_state() as state");
      assert.equal(row!["state"], "paused");
    };
    await eventually(isPaused);
    try {
      await work();
    } finally {
      await onStandby("select pg_wal_replay_resume()");
    }
  }

  it("serve the tape of an ended task, as the primary has it", async () => {
    const taskId = await ended();
    await caughtUp();
    const scans = async () => {
      const [row] = await onStandby(
        "select coalesce(idx_tup_fetch, 0)::int as n from pg_stat_user_tables where relname = 'task_events'",
      );
      return row!["n"] as number;
    };
    const scansBefore = await scans();
    let tape: TapeEvent[] = [];
    const outcomes = await outcomesOf(async () => (tape = await wholeTape(engine, taskId)));
    assert.deepEqual(outcomes, ["standby", "standby", "standby", "standby"]);
    assert.deepEqual(tape, await storedTape(store.db, { namespace: engine.namespace, taskId }));
    await eventually(async () => assert.ok((await scans()) - scansBefore >= EVENTS), {
      describe: "the standby reports that it has read the events",
    });
  });

  it("leave a short tape, and that of an open task, to the primary", async () => {
    const short = await ended(5);
    const open = await start(engine, { kind: "remote" });
    await running.emit();
    await caughtUp();
    const query = { fromSeq: 1n, limit: 100, waitMs: 0 };
    const read = (taskId: string) => engine.readEvents({ taskId, ...query }, NEVER);
    assert.deepEqual(await outcomesOf(() => Promise.all([read(short), read(open)])), []);
    assert.equal((await read(open)).status, "running");
    assert.equal((await read(short)).events.length, 5);
  });

  it("serve a tape with large events", async () => {
    const taskId = await ended(200);
    const body = JSON.stringify({ level: "INFO", message: "x".repeat(200_000) });
    await ask(pair.primary.url, `update task_events set body = $2 where task_id = $1 and seq in (3, 4, 190)`, [
      taskId,
      body,
    ]);
    await caughtUp();
    let tape: TapeEvent[] = [];
    const outcomes = await outcomesOf(async () => (tape = await wholeTape(engine, taskId)));
    assert.deepEqual([new Set(outcomes), tape.length], [new Set(["standby"]), 200]);
  });

  it("serve lists and activity that show what the caller has started", async () => {
    await caughtUp();
    let served = 0;
    for (let count = 0; count < 20; count++) {
      const taskId = await start(engine, { kind: "echo" });
      const outcomes = await outcomesOf(async () => {
        const { tasks } = await engine.listTasks({ ...ALL, withProgress: true });
        assert.ok(tasks.some((task) => task.taskId === taskId));
      });
      served += outcomes.filter((outcome) => outcome === "standby").length;
    }
    assert.ok(served > 0, "the standby served no list");
    await caughtUp();
    assert.deepEqual(await outcomesOf(() => engine.getActivity(LAST_HOUR)), ["standby"]);
  });

  it("are left to the primary while the standby is behind", async () => {
    await caughtUp();
    await paused(async () => {
      const taskId = await ended();
      const lists = await outcomesOf(async () => {
        const { tasks } = await engine.listTasks(ALL);
        assert.equal(tasks[0]!.taskId, taskId);
      });
      assert.deepEqual(lists, ["behind"]);
      const pages = await outcomesOf(async () => assert.equal((await wholeTape(engine, taskId)).length, EVENTS));
      assert.deepEqual(new Set(pages), new Set(["behind"]));
      assert.deepEqual(await outcomesOf(() => engine.getActivity({ ...LAST_HOUR, stepMs: 1_000 * 60 * 5 })), [
        "behind",
      ]);
    });
  });

  it("do not serve a task that was removed while the standby is behind", async () => {
    const taskId = await ended();
    await caughtUp();
    await paused(async () => {
      await engine.deleteTask(taskId, null);
      await assert.rejects(wholeTape(engine, taskId), TaskExpired);
      const page = { taskId, fromSeq: 1n, limit: 1_000, waitMs: 0 };
      await assert.rejects(engine.readEvents(page, NEVER), TaskExpired);
      const { tasks } = await engine.listTasks(ALL);
      assert.ok(tasks.every((task) => task.taskId !== taskId));
    });
  });

  it("show nothing that the primary does not show yet", async () => {
    const taskId = await ended(5);
    await caughtUp();
    // The standby has the commit and shows it. The primary waits for another standby before it does.
    await ask(pair.primary.url, "alter system set synchronous_standby_names = 'FIRST 2 (standby, nobody)'");
    await ask(pair.primary.url, "select pg_reload_conf()");
    const labels = JSON.stringify({ is: "new" });
    const committing = ask(pair.primary.url, "update tasks set labels = $2 where task_id = $1", [taskId, labels]);
    const isShown = async () => {
      const [row] = await onStandby(`select labels::text from tasks where task_id = '${taskId}'`);
      assert.match(String(row!["labels"]), /new/);
    };
    await eventually(isShown, { describe: "the standby shows the commit" });
    const find = async () => (await engine.listTasks(ALL)).tasks.find((task) => task.taskId === taskId)!;
    assert.deepEqual(await outcomesOf(async () => assert.deepEqual((await find()).labels, {})), ["behind"]);
    await ask(pair.primary.url, "alter system reset synchronous_standby_names");
    await ask(pair.primary.url, "select pg_reload_conf()");
    await committing;
    assert.deepEqual((await find()).labels, { is: "new" });
  });

  it("go on at the primary when the standby is killed in the middle of a replay", async () => {
    const taskId = await ended();
    await caughtUp();
    const events: TapeEvent[] = [];
    const outcomes = await outcomesOf(async () => {
      for await (const page of engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: 1_000 }, NEVER)) {
        if (events.length === 0) await pair.standby.kill();
        events.push(...page.events);
      }
    });
    assert.deepEqual(events, await storedTape(store.db, { namespace: engine.namespace, taskId }));
    assert.deepEqual([outcomes[0], outcomes.at(-1)], ["standby", "failed"]);
    assert.ok((await engine.listTasks(ALL)).tasks.length > 0);
    await pair.standby.start();
    await caughtUp();
    assert.deepEqual(new Set(await outcomesOf(() => wholeTape(engine, taskId))), new Set(["standby"]));
  });

  it("are left to the primary when the standby was promoted", async () => {
    await caughtUp();
    await onStandby("select pg_promote()");
    const taskId = await start(engine, { kind: "echo" });
    const outcomes = await outcomesOf(async () => {
      const { tasks } = await engine.listTasks(ALL);
      assert.equal(tasks[0]!.taskId, taskId);
    });
    assert.ok(!outcomes.includes("standby"));
    await eventually(() => assert.ok(!engine.standby.isUp), { describe: "the promoted server is not used" });
    assert.deepEqual(engine.standby.stats()!.lagBytes, null);
  });
});
