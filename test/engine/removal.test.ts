import assert from "node:assert/strict";
import { sql } from "kysely";
import { requestCancel } from "../../src/domain/lifecycle.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import type { TapePage } from "../../src/engine/api/task-engine.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { removeTask } from "../../src/store/tasks/removed-tasks.ts";
import { lockTask, writeTransitions } from "../../src/store/tasks/transitions.ts";
import { kindOf, start, wholeTape } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import type { TestEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { Followed } from "../support/followed-tasks.ts";
import { openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";

const NEVER = new AbortController().signal;
const HEARTBEAT_MS = 1_000;
/** More than a follower is ahead of its reader, with the pages of the store that it has read. */
const EVENTS = 6_000;

const many = kindOf("many", async (task) => {
  for (let line = 1; line <= EVENTS; line++) await task.log("INFO", `line ${line}`);
});

/** With and without notifications, the same must hold; without them it only takes longer. */
for (const notify of [true, false]) {
  describe(`a task that one of two servers removes, notifications ${notify ? "on" : "off"},`, () => {
    let store: TestStore;
    let here: TestEngine;
    let there: TestEngine;

    before(async () => {
      store = await openPostgres();
    });
    after(() => store?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      here = await startEngine(store, { kinds: [many], notify });
      there = await startEngine(store, { kinds: [many], notify, namespace: here.namespace });
    });
    afterEach(() => Promise.all([here, there].map((engine) => engine?.[Symbol.asyncDispose]())));

    it("is missing at the other at once, although that has its tape in memory and followers of it", async () => {
      for (let round = 0; round < 20; round++) {
        const taskId = await start(there, { params: { count: 5 } });
        await eventually(async () => assert.equal((await here.getTask(taskId)).status, "succeeded"));
        // The tape is in the memory of the other server, without a follower or with one.
        const paused = round % 2 === 0 ? null : await begin(there, taskId);
        await here.deleteTask(taskId, null);
        const query = { taskId, fromSeq: 1n };
        const calls = [
          there.getTask(taskId),
          there.cancelTask(taskId, { reason: "", by: null }),
          there.readEvents({ ...query, limit: 10, waitMs: 0 }, NEVER),
          there.readEvents({ ...query, limit: 10, waitMs: 60_000 }, NEVER),
          there.waitForResult({ taskId, waitMs: 60_000 }, NEVER),
          there
            .followTape({ ...query, heartbeatMs: HEARTBEAT_MS }, NEVER)
            [Symbol.asyncIterator]()
            .next(),
        ];
        await Promise.all(calls.map((call) => assert.rejects(call, { reason: "TASK_EXPIRED" })));
        assert.deepEqual(await there.deleteTask(taskId, null), { alreadyDeleted: true });
        await paused?.return?.();
      }
    });

    for (const followers of [1, 2]) {
      it(`ends ${followers} of its replays at each server with TASK_EXPIRED, without a gap`, async () => {
        const taskId = await start(here, { kind: "many" });
        await here.waitForResult({ taskId, waitMs: 60_000 }, NEVER);
        const engines = [here, there].flatMap((engine) => Array.from({ length: followers }, () => engine));
        const replays = await Promise.all(engines.map((engine) => begin(engine, taskId)));
        await here.deleteTask(taskId, null);
        await eventually(async () => assert.equal(await storedEvents(taskId), 0));
        for (const replay of replays) {
          const seqs: bigint[] = [];
          await assert.rejects(readOn(replay, seqs), { reason: "TASK_EXPIRED" });
          assert.deepEqual(
            seqs,
            seqs.map((_, index) => seqs[0]! + BigInt(index)),
          );
          assert.ok(seqs.length < EVENTS - 1_000, `${seqs.length} events`);
        }
      });
    }

    it("ends what waits for its end, if it ends and is removed before the other server learns of either", async () => {
      const taskId = await start(here, { runAt: new Date(Date.now() + 3_600_000) });
      const follower = there.followTape({ taskId, fromSeq: 1n, heartbeatMs: 60_000 }, NEVER)[Symbol.asyncIterator]();
      await follower.next();
      const waits = [
        follower.next(),
        there.readEvents({ taskId, fromSeq: 1n, limit: 10, waitMs: 60_000 }, NEVER),
        there.waitForResult({ taskId, waitMs: 60_000 }, NEVER),
      ];
      const rejections = waits.map((wait) => assert.rejects(wait, { reason: "TASK_EXPIRED" }));
      await endAndRemove(taskId);
      await Promise.all(rejections);
    });

    it("is left out by a stream over many tasks from a cursor of before, and in the middle of its tape", async () => {
      const labels = { team: crypto.randomUUID() };
      const before = new Followed();
      await before.follow(there, ({ pages }) => pages > 0, { labels });
      const inTheMiddle = new Followed();
      const removed = await start(here, { kind: "many", labels });
      await here.waitForResult({ taskId: removed, waitMs: 60_000 }, NEVER);
      const kept = await start(here, { labels, params: { count: 3 } });
      await here.waitForResult({ taskId: kept, waitMs: 60_000 }, NEVER);
      await inTheMiddle.follow(there, ({ tapes }) => tapes.has(removed), { labels, fromStart: true });
      assert.ok(inTheMiddle.count() < EVENTS);
      await here.deleteTask(removed, null);
      const tape = await wholeTape(here, kept);
      for (const followed of [before, inTheMiddle]) {
        const seen = followed.count();
        await followed.follow(there, ({ tapes }) => tapes.get(kept)?.at(-1)?.type === "final", { labels });
        assert.equal(followed.count() - seen, tape.length);
      }
      assert.equal(before.tapes.has(removed), false);
    });

    it("is left out by a stream over many tasks that is open in the middle of its tape", async () => {
      const labels = { team: crypto.randomUUID() };
      const removed = await start(here, { kind: "many", labels });
      await here.waitForResult({ taskId: removed, waitMs: 60_000 }, NEVER);
      const kept = await start(here, { labels, params: { count: 3 } });
      await here.waitForResult({ taskId: kept, waitMs: 60_000 }, NEVER);
      const followed = new Followed();
      let isRemoved = false;
      const stopped = new AbortController();
      const query = { kinds: [], labels, view: "events", cursor: null, fromStart: true, heartbeatMs: 1_000 } as const;
      for await (const page of there.followTasks({ ...query, intervalMs: 0 }, stopped.signal)) {
        followed.take(page);
        if (followed.tapes.get(kept)?.at(-1)?.type === "final") break;
        if (isRemoved || !followed.tapes.has(removed)) continue;
        await here.deleteTask(removed, null);
        isRemoved = true;
      }
      stopped.abort();
      assert.ok(isRemoved && followed.tapes.get(removed)!.length < EVENTS);
    });

    it("is removed once, whatever cancels and deletes race", async () => {
      for (let round = 0; round < 20; round++) {
        const taskId = await start(here, { runAt: new Date(Date.now() + 3_600_000) });
        const cancel = here.cancelTask(taskId, { reason: "", by: null });
        const deletes = [here, there].map((engine) => engine.deleteTask(taskId, null).catch((error: unknown) => error));
        assert.equal((await cancel).outcome, "cancelled");
        const answers = await Promise.all(deletes);
        const removals = answers.filter((answer) => "alreadyDeleted" in (answer as object));
        const refusals = answers.filter((answer) => !removals.includes(answer)) as { reason: string }[];
        assert.ok(refusals.every(({ reason }) => reason === "TASK_NOT_TERMINAL"));
        if (removals.length === 0) removals.push(await there.deleteTask(taskId, null));
        assert.equal(removals.filter((answer) => !(answer as { alreadyDeleted: boolean }).alreadyDeleted).length, 1);
        const late = [
          here.cancelTask(taskId, { reason: "", by: null }),
          there.cancelTask(taskId, { reason: "", by: null }),
        ];
        await Promise.all(late.map((call) => assert.rejects(call, { reason: "TASK_EXPIRED" })));
      }
    });

    async function storedEvents(taskId: string): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from task_events where task_id = ${taskId}::uuid`.execute(store.db);
      return rows[0]!.count;
    }

    /** Cancels a waiting task and removes it in one commit, of which no server is notified. */
    function endAndRemove(taskId: string): Promise<void> {
      const { namespace } = here;
      return store.db.transaction().execute(async (trx) => {
        const { tasks, at } = await lockTask(trx, { namespace, taskId });
        const transition = requestCancel(tasks[0]!, { reason: "", by: null });
        assert.ok(transition.type === "end");
        const [ended] = await writeTransitions(trx, [{ task: tasks[0]!, transition }], at);
        await removeTask(trx, namespace, ended!);
      });
    }
  });
}

/** Follows a tape and reads the first page. */
async function begin(engine: Engine, taskId: string): Promise<AsyncIterator<TapePage>> {
  const pages = engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: HEARTBEAT_MS }, NEVER)[Symbol.asyncIterator]();
  const { value } = await pages.next();
  assert.equal((value as TapePage).events[0]?.seq, 1n);
  return pages;
}

async function readOn(pages: AsyncIterator<TapePage>, seqs: bigint[]): Promise<void> {
  for (;;) {
    const { done, value } = await pages.next();
    if (done) return;
    const { events } = value as { events: readonly TapeEvent[] };
    seqs.push(...events.map(({ seq }) => seq));
  }
}
