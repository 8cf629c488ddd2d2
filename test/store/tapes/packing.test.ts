import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { sql } from "kysely";
import { newEvent } from "../../../src/domain/event.ts";
import type { NewEvent, TapeEvent } from "../../../src/domain/event.ts";
import { PACK_EVENTS_MAX, PACK_EVENTS_MIN, PAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { Snapshot } from "../../../src/domain/snapshot.ts";
import { openSession } from "../../../src/store/session-queries.ts";
import { findVisibleSeq } from "../../../src/store/tapes/changed-tasks.ts";
import { readPage, readRanges } from "../../../src/store/tapes/event-queries.ts";
import { readLastEvent } from "../../../src/store/tapes/single-events.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { PACKED_EVENTS_MAX } from "../../../src/store/tapes/pack-statement.ts";
import { packNextTapes, restartPacking } from "../../../src/store/tapes/packing.ts";
import { readSnapshot } from "../../../src/store/tapes/snapshots.ts";
import { deleteRemovedEvents, removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a packed tape", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  /** Stores an ended task whose tape has `started`, then the events of each commit, then `final`. */
  async function tapeOf(commits: readonly (readonly NewEvent[])[], afterCommit = async () => {}): Promise<string> {
    const fence = await createRunning(store().db, { namespace });
    let appended = 0n;
    for (const events of [...commits, [SUCCEEDED]]) {
      const end = events[0] === SUCCEEDED ? "succeeded" : null;
      await writeFlush(store().db, { creates: [], appends: [{ fence, appended, events, end }] });
      appended += BigInt(events.length);
      await afterCommit();
    }
    return fence.taskId;
  }

  const pack = (afterMs = 0) => packNextTapes(store().db, { namespace, afterMs });

  async function packAll(): Promise<{ tapes: number; events: number; calls: number }> {
    const sum = { tapes: 0, events: 0, calls: 0 };
    for (let hasMore = true; hasMore; sum.calls++) {
      const result = await pack();
      sum.tapes += result.tapes;
      sum.events += result.events;
      ({ hasMore } = result);
    }
    return sum;
  }

  const read = (taskId: string, fromSeq: number, limit: number) =>
    readPage(store().db, { namespace, taskId, fromSeq: BigInt(fromSeq), limit });

  async function stored(taskId: string): Promise<{ rows: number; packs: number }> {
    const { rows } = await sql<{ rows: number; packs: number }>`
      select (select count(*)::int from task_events where task_id = ${taskId}::uuid) as rows,
             (select count(*)::int from packed_events where task_id = ${taskId}::uuid) as packs`.execute(store().db);
    return rows[0]!;
  }

  const log = (message: string) => newEvent("log", { level: "INFO", message });

  /** Events of several types and sizes, with characters that text could be split at. */
  const mixed = (count: number): NewEvent[] =>
    Array.from({ length: count }, (_, index) => {
      if (index % 7 === 0) return log(`\x1e${index}\\u001e 記録 😀 \0`);
      if (index % 5 === 0) return newEvent("partial", { kind: "part", payload: { text: "x".repeat(index % 400) } });
      return steps(index)[0]!;
    });

  it("reads as before, from every position", async () => {
    const events = mixed(2 * PACK_EVENTS_MAX + 300);
    const taskId = await tapeOf([events.slice(0, 1), events.slice(1, 1_200), events.slice(1_200)]);
    const before = await storedTape(store().db, { namespace, taskId });
    assert.deepEqual(await packAll(), { tapes: 1, events: events.length + 1, calls: 1 });
    assert.deepEqual(await stored(taskId), { rows: 1, packs: 3 });
    assert.deepEqual(await storedTape(store().db, { namespace, taskId }), before);
    for (const [from, limit] of [
      [1, 1],
      [1, 100],
      [PACK_EVENTS_MAX, 1],
      [PACK_EVENTS_MAX, 2],
      [PACK_EVENTS_MAX + 1, 1_000],
      [999, 1_000],
      [1_500, 1_000],
      [before.length - 1, 1],
      [before.length - 1, 2],
      [before.length, 5],
      [before.length + 1, 5],
    ] as const) {
      const page = await read(taskId, from, limit);
      assert.deepEqual(page.events, before.slice(from - 1, from - 1 + limit), `from ${from}, limit ${limit}`);
      assert.deepEqual([page.status, page.lastSeq], ["succeeded", BigInt(before.length)]);
    }
    assert.deepEqual(await readLastEvent(store().db, taskId), before.at(-1));
  });

  it("reads as before for any events, commits and pages", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 5 });
    const from = fc.integer({ min: 1, max: 700 });
    const pages = fc.array(fc.tuple(from, fc.integer({ min: 1, max: 1_000 })), { minLength: 3, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, pages, async (counts, asked) => {
        const taskId = await tapeOf([steps(1, PACK_EVENTS_MIN), ...counts.map(mixed)]);
        const before = await storedTape(store().db, { namespace, taskId });
        await packAll();
        assert.equal((await stored(taskId)).rows, 1);
        for (const [first, limit] of asked) {
          const { events } = await read(taskId, first, limit);
          assert.deepEqual(events, before.slice(first - 1, first - 1 + limit));
        }
      }),
      { numRuns: 15 },
    );
  });

  it("is packed in steps if it is long, and reads as before in between", async () => {
    const count = PACKED_EVENTS_MAX + 1_700;
    const taskId = await tapeOf([steps(1, 3_000), steps(3_001, count)]);
    const before = await storedTape(store().db, { namespace, taskId });
    assert.deepEqual(await pack(), { tapes: 0, events: PACKED_EVENTS_MAX, hasMore: true });
    assert.deepEqual(await storedTape(store().db, { namespace, taskId }), before);
    const { events } = await read(taskId, PACKED_EVENTS_MAX - 10, 100);
    assert.deepEqual(events, before.slice(PACKED_EVENTS_MAX - 11, PACKED_EVENTS_MAX + 89));
    assert.deepEqual(await packAll(), { tapes: 1, events: count + 1 - PACKED_EVENTS_MAX, calls: 1 });
    assert.deepEqual(await storedTape(store().db, { namespace, taskId }), before);
    assert.deepEqual(await packAll(), { tapes: 0, events: 0, calls: 1 });
  });

  it("is split by the size of its bodies, and no page exceeds the bound by more than an event", async () => {
    const large = 60_000;
    const taskId = await tapeOf([steps(1, PACK_EVENTS_MIN), Array<NewEvent>(150).fill(log("x".repeat(large)))]);
    const before = await storedTape(store().db, { namespace, taskId });
    const { calls } = await packAll();
    assert.ok(calls > 1);
    const { rows, packs } = await stored(taskId);
    assert.ok(rows === 1 && packs >= 8, `${rows} rows, ${packs} packs`);
    assert.deepEqual(await storedTape(store().db, { namespace, taskId }), before);
    for (const from of [1, 40, 60, 75, before.length - 2]) {
      const { events } = await read(taskId, from, 1_000);
      const bytes = events.reduce((sum, { body }) => sum + body.length, 0);
      assert.ok(events.length > 0 && bytes < PAGE_BYTES_MAX + large + 1_000, `${bytes} bytes`);
      assert.deepEqual(events, before.slice(from - 1, from - 1 + events.length));
    }
  });

  it("is read to a large event after its last pack", async () => {
    const large = newEvent("final", { status: "succeeded", result: { text: "x".repeat(2 * PAGE_BYTES_MAX) } });
    const fence = await createRunning(store().db, { namespace });
    const append = { fence, appended: 0n, events: [...steps(1, 100), large], end: "succeeded" } as const;
    await writeFlush(store().db, { creates: [], appends: [append] });
    const before = await storedTape(store().db, { namespace, ...fence });
    await packAll();
    assert.deepEqual((await read(fence.taskId, 102, 1_000)).events, before.slice(101));
  });

  it("stays as rows if it is short, has not ended, or ended too recently", async () => {
    const short = await tapeOf([steps(1, PACK_EVENTS_MIN - 3)]);
    const long = await tapeOf([steps(1, PACK_EVENTS_MIN - 2)]);
    const running = await createRunning(store().db, { namespace });
    const events = steps(1, 2 * PACK_EVENTS_MIN);
    await writeFlush(store().db, { creates: [], appends: [{ fence: running, appended: 0n, events, end: null }] });
    assert.deepEqual(await pack(60_000), { tapes: 0, events: 0, hasMore: false });
    assert.deepEqual(await packAll(), { tapes: 1, events: PACK_EVENTS_MIN - 1, calls: 1 });
    assert.equal((await stored(short)).packs, 0);
    assert.equal((await stored(long)).packs, 1);
    assert.equal((await stored(running.taskId)).packs, 0);
  });

  it("is packed once, by one of several servers", async () => {
    const taskIds: string[] = [];
    for (let index = 0; index < 12; index++) taskIds.push(await tapeOf([steps(1, 600)]));
    const tapes = await Promise.all(taskIds.map((taskId) => storedTape(store().db, { namespace, taskId })));
    const packed: number[] = [];
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let turn = 0; turn < 10; turn++) packed.push((await pack()).tapes);
      }),
    );
    packed.push((await packAll()).tapes);
    assert.equal(
      packed.reduce((sum, tapes) => sum + tapes),
      taskIds.length,
    );
    for (const [index, taskId] of taskIds.entries()) {
      assert.deepEqual(await stored(taskId), { rows: 1, packs: 1 });
      assert.deepEqual(await storedTape(store().db, { namespace, taskId }), tapes[index]);
    }
  });

  it("is not packed while a server runs that cannot read it, and then refuses such servers", async () => {
    const taskId = await tapeOf([steps(1, 100)]);
    const sessionId = randomUUID();
    const session = { sessionId, namespace, host: "old", pid: 1, kinds: [], capacity: 1, leaseMs: 60_000 };
    await openSession(store().db, { ...session, tokenDigest: null });
    await store().db.updateTable("sessions").set({ reads_packed: false }).where("session_id", "=", sessionId).execute();
    assert.deepEqual(await pack(), { tapes: 0, events: 0, hasMore: false });
    await store().db.deleteFrom("sessions").where("session_id", "=", sessionId).execute();
    assert.equal((await pack()).tapes, 1);
    assert.equal((await stored(taskId)).packs, 1);
    const { rows } = await sql<{ runs_from: string }>`
      select runs_from from spool_schema_compatibility where step = '0013-packed-events'`.execute(store().db);
    assert.equal(rows[0]!.runs_from, "0013-packed-events");
  });

  it("is found again after the sweep was restarted, and each task is read once before", async () => {
    await tapeOf([steps(1, 100)]);
    await packAll();
    const second = await tapeOf([steps(1, 100)]);
    const finished = sql<Date>`now() - interval '1 day'`;
    await store().db.updateTable("tasks").set({ finished_at: finished }).where("task_id", "=", second).execute();
    assert.equal((await packAll()).tapes, 0);
    await restartPacking(store().db, namespace);
    assert.equal((await packAll()).tapes, 1);
  });

  it("is deleted with its task, in batches", async () => {
    const taskId = await tapeOf([steps(1, 3_500)]);
    const kept = await tapeOf([steps(1, 200)]);
    await packAll();
    await store()
      .db.transaction()
      .execute(async (trx) => {
        const { tasks } = await lockTask(trx, { namespace, taskId });
        await removeTask(trx, namespace, tasks[0]!);
      });
    const range = { taskId, fromSeq: 1n, toSeq: 100n };
    assert.deepEqual(await readRanges(store().db, { namespace, ranges: [range] }), [[]]);
    const deleted: (number | null)[] = [];
    do deleted.push(await deleteRemovedEvents(store().db, { namespace, limit: 50 }));
    while (deleted.at(-1) !== null);
    assert.deepEqual(deleted, [3, 2, 0, null]); // Two packs a batch, and `final` in the first.
    assert.deepEqual(await stored(taskId), { rows: 0, packs: 0 });
    assert.equal((await storedTape(store().db, { namespace, taskId: kept })).length, 202);
  });

  it("shows each snapshot of a follower the same events as before", async () => {
    const snapshots: Snapshot[] = [];
    const take = async () => {
      snapshots.push(await readSnapshot(store().db, { isGiven: false }));
    };
    await take();
    const commits = Array.from({ length: 20 }, (_, index) => steps(index * 60 + 1, index * 60 + 1 + (index % 59)));
    const taskId = await tapeOf(commits, take);
    const lastSeq = (await read(taskId, 1, 1)).lastSeq;
    const find = () =>
      Promise.all(snapshots.map((snapshot) => findVisibleSeq(store().db, { taskId, lastSeq }, snapshot)));
    const before = await find();
    assert.equal(new Set(before).size, snapshots.length);
    assert.equal((await packAll()).tapes, 1);
    assert.deepEqual(await find(), before);
    const old = snapshots.map((snapshot) => ({ ...snapshot, at: new Date(snapshot.at.getTime() + 2 * 3_600_000) }));
    for (const snapshot of old) {
      assert.equal(await findVisibleSeq(store().db, { taskId, lastSeq }, snapshot), lastSeq, "old events are visible");
    }
  });

  it("is read in ranges together with tapes that are not packed", async () => {
    const packed = await tapeOf([steps(1, 1_300)]);
    await packAll();
    const plain = await tapeOf([steps(1, 10)]);
    const tapes = new Map<string, TapeEvent[]>();
    for (const taskId of [packed, plain]) tapes.set(taskId, await storedTape(store().db, { namespace, taskId }));
    for (const order of [
      [plain, packed],
      [packed, plain],
    ]) {
      const read = new Map(order.map((taskId) => [taskId, [] as TapeEvent[]]));
      for (let turn = 0; turn < 10; turn++) {
        const ranges = order
          .map((taskId) => ({
            taskId,
            fromSeq: BigInt(read.get(taskId)!.length) + 1n,
            toSeq: BigInt(tapes.get(taskId)!.length),
          }))
          .filter(({ fromSeq, toSeq }) => fromSeq <= toSeq);
        if (ranges.length === 0) break;
        const events = await readRanges(store().db, { namespace, ranges });
        const first = events.findIndex(({ length }) => length > 0);
        assert.ok(first === 0, "a range was passed over");
        ranges.forEach(({ taskId }, index) => read.get(taskId)!.push(...events[index]!));
      }
      assert.deepEqual(read, new Map(order.map((taskId) => [taskId, tapes.get(taskId)!])));
    }
  });

  it("is in the view tape_events with each event as it was recorded", async () => {
    const taskId = await tapeOf([mixed(700)]);
    const tape = () =>
      sql`select seq, time, type, body::text as body from tape_events where task_id = ${taskId}::uuid order by seq`.execute(
        store().db,
      );
    const before = await tape();
    assert.equal(before.rows.length, 702);
    assert.deepEqual([(await packAll()).tapes, (await tape()).rows], [1, before.rows]);
  });
});
