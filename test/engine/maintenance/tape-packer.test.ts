import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import type { TapeEvent } from "../../../src/domain/event.ts";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import { kindOf, start, untilStopped, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { Followed } from "../../support/followed-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const EVENTS = 3_000;

describeHeavyOnEachStore("the packer of tapes", (store) => {
  const counting = kindOf("counting", async (task) => {
    for (let current = 1; current <= EVENTS; current++) await task.progress("count", current);
  });

  async function packedSeq(taskId: string): Promise<bigint> {
    const row = store().db.selectFrom("tasks").select("packed_seq").where("task_id", "=", taskId);
    return (await row.executeTakeFirstOrThrow()).packed_seq;
  }

  it("packs ended tapes while followers read them, and changes nothing that they see", async () => {
    let tapes = 0;
    let events = 0;
    const observer = {
      ...UNOBSERVED,
      tapesPacked(packed: { tapes: number; events: number }) {
        tapes += packed.tapes;
        events += packed.events;
      },
    };
    const quiet = kindOf("quiet", (task) => untilStopped(task.signal));
    await using first = await startEngine(store(), { kinds: [counting, quiet] });
    const running = await start(first, { kind: "quiet" });
    const taskIds = [await start(first, { kind: "counting" }), await start(first, { kind: "counting" })];
    const before = await Promise.all(taskIds.map((taskId) => wholeTape(first, taskId)));
    const cut = new Followed();
    await cut.follow(first, () => cut.count() >= 1_000, { fromStart: true });
    assert.ok(cut.ended < 2, "the follower must be cut before the end");
    const { namespace } = first;
    await using engine = await startEngine(store(), { namespace, packAfter: 0, observer });
    const followed = new Followed();
    const following = followed.follow(engine, ({ ended }) => ended === 2, { fromStart: true });
    // Reads one tape from different positions until it is packed.
    let isPacked = false;
    const positions = async (first: number) => {
      for (let from = first; !isPacked; from = (from * 7) % EVENTS) {
        const query = { taskId: taskIds[0]!, fromSeq: BigInt(from + 1), limit: 700, waitMs: 0 };
        const page = await engine.readEvents(query, AbortSignal.timeout(10_000));
        assert.deepEqual(page.events, before[0]!.slice(from, from + 700));
        await setImmediate(); // PGlite answers without the event loop, which the packer waits for.
      }
    };
    const readers = [positions(1), positions(1_111)];
    await eventually(async () => {
      for (const taskId of taskIds) assert.equal(await packedSeq(taskId), BigInt(EVENTS + 1));
    });
    isPacked = true;
    await Promise.all(readers);
    await following;
    await cut.follow(engine, ({ ended }) => ended === 2);
    const late = new Followed();
    await late.follow(engine, ({ ended }) => ended === 2, { fromStart: true });
    for (const [index, taskId] of taskIds.entries()) {
      assert.deepEqual(await wholeTape(engine, taskId), before[index]);
      for (const { tapes: seen } of [followed, cut, late]) assert.deepEqual(ofTape(seen, taskId), before[index]);
    }
    assert.equal(await packedSeq(running), 0n);
    assert.deepEqual([tapes, events], [2, 2 * (EVENTS + 1)]);
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from task_events
      where task_id = any(${taskIds}::uuid[])`.execute(store().db);
    assert.equal(rows[0]!.count, 2, "only `final` stays a row");
  });

  function ofTape(tapes: ReadonlyMap<string, TapeEvent[]>, taskId: string): TapeEvent[] {
    return tapes.get(taskId) ?? [];
  }
});
