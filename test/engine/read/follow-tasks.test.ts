import assert from "node:assert/strict";
import { sql } from "kysely";
import { fromStart } from "../../../src/domain/follow-cursor.ts";
import { SNAPSHOT_AGE_MAX } from "../../../src/domain/snapshot.ts";
import { kindOf, start, startRunning, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { Followed, followQuery } from "../../support/followed-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;

/** A kind that emits as many events as its params say. */
const burst = kindOf("burst", async (task) => {
  const { count } = task.params as { count: number };
  for (let step = 1; step <= count; step++) await task.progress("burst", step, count);
});

describeHeavyOnEachStore("a follower of many tasks", (store) => {
  it("gets the events from its first page on, of running tasks and of new ones", async () => {
    const more = Promise.withResolvers<void>();
    const slow = kindOf("slow", async (task) => {
      await task.log("INFO", "before");
      await task.flush();
      await more.promise;
      await task.log("INFO", "after");
    });
    await using engine = await startEngine(store(), { kinds: [slow] });
    await wholeTape(engine, await start(engine));
    const running = await startRunning(engine, { kind: "slow" });
    await eventually(async () => assert.equal((await engine.getTask(running)).lastSeq, 2n));
    const followed = new Followed();
    await followed.follow(engine, () => true);
    assert.equal(followed.count(), 0);
    const fresh = await start(engine);
    more.resolve();
    await followed.follow(engine, ({ ended }) => ended === 2);
    assert.deepEqual([...followed.tapes.keys()].sort(), [running, fresh].sort());
    assert.deepEqual(
      followed.tapes.get(running)!.map(({ seq }) => seq),
      [3n, 4n],
    );
    assert.deepEqual(followed.tapes.get(fresh), await wholeTape(engine, fresh));
  });

  it("gets all stored events if it asks for the start, and continues live", async () => {
    await using engine = await startEngine(store(), { kinds: [burst] });
    const before = await Promise.all([0, 1, 2].map((count) => start(engine, { kind: "burst", params: { count } })));
    for (const taskId of before) await wholeTape(engine, taskId);
    const followed = new Followed();
    await followed.follow(engine, ({ ended }) => ended === 3, { fromStart: true });
    const after = await start(engine);
    await followed.follow(engine, ({ ended }) => ended === 4);
    for (const taskId of [...before, after])
      assert.deepEqual(followed.tapes.get(taskId), await wholeTape(engine, taskId));
  });

  it("resumes after any page without a missed or repeated event, however far behind it is", async () => {
    await using engine = await startEngine(store(), { kinds: [burst] });
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const counts = [0, 1, 3, 255, 256, 257, 1_500, 2_600];
    const taskIds = await Promise.all(counts.map((count) => start(engine, { kind: "burst", params: { count } })));
    await followed.follow(engine, ({ pages }) => pages >= 3); // Somewhere in the middle of it.
    for (const taskId of taskIds) await wholeTape(engine, taskId);
    while (followed.ended < counts.length) {
      const until = followed.pages + 2; // The first page of each stream is empty.
      await followed.follow(engine, ({ pages }) => pages >= until);
    }
    for (const taskId of taskIds) assert.deepEqual(followed.tapes.get(taskId), await wholeTape(engine, taskId));
  });

  it("resumes in the middle of a tape when the target of its round is long past", async () => {
    const running = Promise.withResolvers<() => Promise<void>>();
    const done = Promise.withResolvers<void>();
    const told = kindOf("told", async (task) => {
      const emit = async () => {
        for (let step = 0; step < 700; step++) await task.progress("told", step);
        await task.flush();
      };
      running.resolve(emit);
      await done.promise;
    });
    await using engine = await startEngine(store(), { kinds: [told] });
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const taskId = await start(engine, { kind: "told" });
    const emit = await running.promise;
    await emit();
    await emit();
    await followed.follow(engine, () => followed.count() > 0); // A page of 1,000, of some 1,400.
    assert.notEqual(followed.cursor!.round, null);
    assert.equal(followed.count(), 1_000);
    await emit(); // Behind the target, and further back from the tape's end than the scan reads.
    done.resolve();
    await followed.follow(engine, ({ ended }) => ended === 1);
    assert.deepEqual(followed.tapes.get(taskId), await wholeTape(engine, taskId));
  });

  it("gets only tasks of the kinds and labels that it asks for", async () => {
    await using engine = await startEngine(store(), { kinds: [burst] });
    const one = await start(engine, { kind: "burst", params: { count: 1 }, labels: { team: "a", run: "1" } });
    await start(engine, { kind: "burst", params: { count: 1 }, labels: { team: "b" } });
    const other = await start(engine, { labels: { team: "a" } });
    await Promise.all([one, other].map((taskId) => wholeTape(engine, taskId)));
    const ofTeam = new Followed();
    await ofTeam.follow(engine, ({ ended }) => ended === 2, { fromStart: true, labels: { team: "a" } });
    assert.deepEqual([...ofTeam.tapes.keys()].sort(), [one, other].sort());
    const ofKind = new Followed();
    const query = { fromStart: true, labels: { team: "a" }, kinds: ["burst", "another"] };
    await ofKind.follow(engine, ({ ended }) => ended === 1, query);
    assert.deepEqual([...ofKind.tapes.keys()], [one]);
  });

  it("gets only tasks of its own namespace", async () => {
    await using engine = await startEngine(store());
    await using other = await startEngine(store());
    await wholeTape(other, await start(other));
    const taskId = await start(engine);
    const followed = new Followed();
    await followed.follow(engine, ({ ended }) => ended === 1, { fromStart: true });
    assert.deepEqual([...followed.tapes.keys()], [taskId]);
  });

  it("gets empty pages while no task changes, with cursors that stay recent", async () => {
    await using engine = await startEngine(store());
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const first = followed.cursor!;
    await sql`create table ${sql.table(`noise_${crypto.randomUUID().replaceAll("-", "")}`)} ()`.execute(store().db);
    await followed.follow(engine, ({ cursor }) => cursor!.seen.xmax > first.seen.xmax, { heartbeatMs: 50 });
    assert.equal(followed.count(), 0);
  });

  it("gets the end of a task from a server that does not record the transaction", async () => {
    await using engine = await startEngine(store(), { kinds: [burst] });
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const taskId = await start(engine, { kind: "burst", params: { count: 3 } });
    await wholeTape(engine, taskId);
    await sql`update tasks set ended_xid = null where task_id = ${taskId}`.execute(store().db);
    await followed.follow(engine, ({ ended }) => ended === 1);
    assert.deepEqual(followed.tapes.get(taskId), await wholeTape(engine, taskId));
    await followed.follow(engine, ({ pages }) => pages >= 8, { heartbeatMs: 50 }); // And only once.
  });

  it("gets tasks that ended before transactions were recorded, if it asks for the start", async () => {
    await using engine = await startEngine(store());
    const taskId = await start(engine);
    await wholeTape(engine, taskId);
    await sql`update tasks set ended_xid = 0 where task_id = ${taskId}`.execute(store().db);
    const followed = new Followed();
    await followed.follow(engine, ({ ended }) => ended === 1, { fromStart: true });
  });

  it("is refused with a cursor of another database, or one that is too old", async () => {
    await using engine = await startEngine(store());
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const { seen } = followed.cursor!;
    const first = (cursor: Followed["cursor"]) =>
      engine.followTasks(followQuery({ cursor }), NEVER)[Symbol.asyncIterator]().next();
    const ahead = { ...seen, xmax: seen.xmax + 1_000_000n };
    await assert.rejects(first({ generation: 0, seen: ahead, round: null }), /cursor: must be of this database/);
    const place = { endedXid: null, taskId: crypto.randomUUID(), seq: null };
    await assert.rejects(
      first({ generation: 0, seen, round: { target: ahead, place } }),
      /cursor: must be of this database/,
    );
    const old = { ...seen, xmin: 1n, xmax: 1n };
    await sql`select 1`.execute(store().db);
    assert.ok(seen.xmax < SNAPSHOT_AGE_MAX);
    await first({ generation: 0, seen: old, round: null });
    await first(fromStart(0));
  });

  it("throws the reason of its signal, in a wait and in a read", async () => {
    await using engine = await startEngine(store());
    const stopped = new AbortController();
    const follower = engine.followTasks(followQuery({ heartbeatMs: 60_000 }), stopped.signal)[Symbol.asyncIterator]();
    await follower.next();
    const waiting = follower.next();
    const reason = new Error("enough");
    stopped.abort(reason);
    await assert.rejects(waiting, (error) => error === reason);
    await assert.rejects(
      engine.followTasks(followQuery(), stopped.signal)[Symbol.asyncIterator]().next(),
      (error) => error === reason,
    );
  });
});
