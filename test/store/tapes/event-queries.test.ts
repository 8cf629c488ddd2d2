import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { newEvent } from "../../../src/domain/event.ts";
import { EVENT_BYTES_MAX, PAGE_BYTES_MAX, RESULT_BYTES_MAX } from "../../../src/domain/limits.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import { readPage } from "../../../src/store/tapes/event-queries.ts";
import { readLastEvent } from "../../../src/store/tapes/single-events.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { createRunning, createTask, outline, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a page of a tape", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const read = (taskId: string, fromSeq: number | bigint, limit = 1_000) =>
    readPage(store().db, { namespace, taskId, fromSeq: BigInt(fromSeq), limit });
  const seqs = async (...query: Parameters<typeof read>) => (await read(...query)).events.map(({ seq }) => Number(seq));

  async function tapeOf(...bodies: string[]): Promise<string> {
    const fence = await createRunning(store().db, { namespace });
    const events = bodies.map((message) => newEvent("log", { level: "INFO", message }));
    await writeFlush(store().db, { creates: [], appends: [{ fence, appended: 0n, events, end: null }] });
    return fence.taskId;
  }

  it("begins at the given seq and has at most the given number of events", async () => {
    const taskId = await tapeOf(...Array<string>(20).fill("text"));
    assert.deepEqual(await seqs(taskId, 1, 3), [1, 2, 3]);
    assert.deepEqual(await seqs(taskId, 20, 100), [20, 21]);
    assert.deepEqual(await seqs(taskId, 21, 1), [21]);
    const visited: number[] = [];
    for (let next = 1; next <= 21; next = visited.at(-1)! + 1) visited.push(...(await seqs(taskId, next, 3)));
    assert.deepEqual(
      visited,
      Array.from({ length: 21 }, (_, index) => index + 1),
    );
  });

  it("keeps events with any content apart, and has the time of each", async () => {
    const messages = ["", "\x1e", "\x1f\x1e\x1f", "\0\n", "記録 😀", '","level":"WARN'];
    const taskId = await tapeOf(...messages);
    const { events } = await read(taskId, 2);
    assert.deepEqual(
      events.map(({ body }) => (JSON.parse(body) as { message: string }).message),
      messages,
    );
    const stored = store().db.selectFrom("task_events").select(["seq", "time", "type"]).where("task_id", "=", taskId);
    const rows = await stored.where("seq", ">", 1n).orderBy("seq").execute();
    assert.deepEqual(
      events.map(({ seq, time, type }) => ({ seq, time, type })),
      rows,
    );
  });

  it("is refused, not renumbered, if an event is missing on the tape", async () => {
    const taskId = await tapeOf("one", "two", "three");
    await store().db.deleteFrom("task_events").where("task_id", "=", taskId).where("seq", "=", 3n).execute();
    await assert.rejects(read(taskId, 1), /has a gap/);
  });

  it("past the end of the tape has no events, and has the task's status and last seq", async () => {
    const taskId = await tapeOf("text");
    for (const fromSeq of [3n, 9_999n, 2n ** 63n - 1n]) {
      assert.deepEqual(await read(taskId, fromSeq), { taskId, status: "running", lastSeq: 2n, events: [] });
    }
    const empty = await createTask(store().db, { namespace });
    assert.deepEqual(await read(empty.taskId, 1n), {
      taskId: empty.taskId,
      status: "pending",
      lastSeq: 0n,
      events: [],
    });
    assert.equal(await readLastEvent(store().db, empty.taskId), undefined);
  });

  it("cannot be read of a task in another namespace, or of a task that does not exist", async () => {
    const taskId = await tapeOf("text");
    const missing = { reason: "TASK_NOT_FOUND" };
    await assert.rejects(read(randomUUID(), 1), missing);
    namespace = randomUUID();
    await assert.rejects(read(taskId, 1), missing);
  });

  it("ends with the event that brings its bodies to 1 MiB", async () => {
    const overhead = Buffer.byteLength(JSON.stringify({ level: "INFO", message: "" }));
    const quarter = "x".repeat(EVENT_BYTES_MAX - overhead);
    const taskId = await tapeOf("", ...Array<string>(12).fill(quarter));
    for (let fromSeq = 1; fromSeq <= 14;) {
      const { events } = await read(taskId, fromSeq);
      const bytes = events.map(({ body }) => Buffer.byteLength(body));
      assert.ok(bytes.slice(0, -1).reduce((sum, size) => sum + size, 0) < PAGE_BYTES_MAX);
      assert.ok(events.length >= Math.min(4, 15 - fromSeq), `${events.length} from ${fromSeq}`);
      fromSeq += events.length;
    }
  });

  it("has at least one event, of any size", async () => {
    const taskId = await tapeOf("x".repeat(RESULT_BYTES_MAX), "y");
    assert.deepEqual(await seqs(taskId, 2), [2]);
    assert.deepEqual(await seqs(taskId, 1), [1, 2]);
    assert.deepEqual(await seqs(taskId, 3), [3]);
  });

  it("has bodies as they were written, byte for byte", async () => {
    const fence = await createRunning(store().db, { namespace });
    const bodies = [
      '{"b":1,"a":"\\u0000 \\ud83d\\ude00 é"}',
      '{ "a" : 1,\n "a" : 2 }',
      '{"n":1e400,"m":-0.0}',
      '"\\/"',
      "[]",
    ];
    const events = bodies.map((body) => ({ type: "log" as const, body }));
    await writeFlush(store().db, { creates: [], appends: [{ fence, appended: 0n, events, end: null }] });
    const page = await read(fence.taskId, 2);
    assert.deepEqual(
      page.events.map(({ body }) => body),
      bodies,
    );
    assert.equal((await readLastEvent(store().db, fence.taskId))?.body, "[]");
  });

  it("has the times of the commits, to the millisecond", async () => {
    const fence = await createRunning(store().db, { namespace });
    const told: number[] = [];
    for (let appended = 0; appended < 40; appended++) {
      const append = { fence, appended: BigInt(appended), events: steps(appended), end: null };
      told.push((await writeFlush(store().db, { creates: [], appends: [append] })).at.getTime());
    }
    const times = (await read(fence.taskId, 2)).events.map(({ time }) => time.getTime());
    assert.deepEqual(times, told);
    assert.equal((await readLastEvent(store().db, fence.taskId))?.time.getTime(), told.at(-1));
  });

  it("comes from one snapshot during concurrent writes", async () => {
    const FLUSHES = 150;
    const fence = await createRunning(store().db, { namespace });
    const { taskId } = fence;
    let isDone = false;
    const write = async () => {
      for (let flush = 0; flush < FLUSHES; flush++) {
        const events = steps(2 * flush + 1, 2 * flush + 2);
        await writeFlush(store().db, {
          creates: [],
          appends: [{ fence, appended: BigInt(2 * flush), events, end: null }],
        });
      }
      const end = { fence, appended: BigInt(2 * FLUSHES), events: [SUCCEEDED], end: "succeeded" as const };
      await writeFlush(store().db, { creates: [], appends: [end] });
      isDone = true;
    };
    const look = async () => {
      let pages = 0;
      while (!isDone) {
        const { status, lastSeq, events } = await read(taskId, 1);
        assert.equal(BigInt(events.length), lastSeq);
        assert.equal(Number(lastSeq) % 2, isTerminal(status) ? 0 : 1); // Whole flushes.
        assert.equal(isTerminal(status), events.at(-1)?.type === "final");
        pages++;
      }
      return pages;
    };
    const [, ...pages] = await Promise.all([write(), look(), look(), look()]);
    assert.ok(Math.min(...pages) > 0);
    assert.equal(outline(await storedTape(store().db, { namespace, taskId })).length, 2 * FLUSHES + 2);
  });
});
