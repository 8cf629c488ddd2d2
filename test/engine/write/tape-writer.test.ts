import assert from "node:assert/strict";
import fc from "fast-check";
import type { NewEvent } from "../../../src/domain/event.ts";
import { TapeWriter } from "../../../src/engine/write/tape-writer.ts";
import { steps, SUCCEEDED } from "../../support/new-tasks.ts";

const FENCE = {
  taskId: "019a0000-0000-7000-8000-000000000000",
  lease: "019a0000-0000-7000-8000-000000000001",
  attempt: 1,
};
const KIB = 1024;

function open() {
  const told = { events: 0, lost: 0 };
  const writer = new TapeWriter(FENCE, { onEvents: () => told.events++, onLost: () => told.lost++ });
  return { writer, told };
}

/** Returns whether a promise has settled after all pending callbacks have run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

const append = (writer: TapeWriter, event: NewEvent = steps(1)[0]!) => writer.append(event);
const large = (bytes: number): NewEvent => ({ type: "log", body: "x".repeat(bytes) });

describe("TapeWriter", () => {
  it("has room for 1,024 events, and the event that fills it waits until a flush takes them", async () => {
    const { writer, told } = open();
    for (let count = 1; count < 1_024; count++) assert.ok(await isSettled(append(writer)));
    const last = append(writer);
    assert.equal(await isSettled(last), false);
    assert.equal(told.events, 1);
    assert.equal(writer.take().events.length, 1_024);
    await last;
    await append(writer);
    assert.equal(told.events, 2);
  });

  it("has room for 1 MiB of events", async () => {
    const { writer } = open();
    for (let count = 1; count < 4; count++) await append(writer, large(256 * KIB));
    const last = append(writer, large(256 * KIB));
    assert.equal(await isSettled(last), false);
    assert.equal(writer.take().bytes, 1_024 * KIB);
    await last;
  });

  it("refuses a producer that does not wait, at 16 times the bound", async () => {
    for (const [event, count] of [
      [large(1), 16 * 1_024],
      [large(256 * KIB), 64],
    ] as const) {
      const { writer } = open();
      for (let taken = 0; taken < count; taken++) void append(writer, event);
      await assert.rejects(append(writer, event), { reason: "OVERLOADED" });
      assert.equal(writer.take().events.length, count);
      await append(writer, event);
    }
  });

  it("always accepts the end, as the last event", async () => {
    const { writer } = open();
    for (let taken = 0; taken < 16 * 1_024; taken++) void append(writer);
    const ended = writer.end(SUCCEEDED, "succeeded");
    await assert.rejects(append(writer), { reason: "LEASE_LOST" });
    void writer.end(SUCCEEDED, "failed");
    const { events, end } = writer.take();
    assert.deepEqual([events.length, events.at(-1), end], [16 * 1_024 + 1, SUCCEEDED, "succeeded"]);
    assert.ok(writer.isEmpty);
    writer.commit(events.length);
    await ended;
  });

  it("rejects all waiting calls when it is revoked, and calls onLost once", async () => {
    const { writer, told } = open();
    const error = new Error("why");
    const waiting = [writer.flush()]; // An empty flush is durable at once.
    for (let count = 0; count < 1_024; count++) waiting.push(append(writer));
    const rejected = [waiting.at(-1)!, writer.flush(), writer.end(SUCCEEDED, "succeeded")];
    writer.revoke(error);
    writer.revoke(new Error("again"));
    for (const promise of rejected) await assert.rejects(promise, error);
    for (const late of [append(writer), writer.flush(), writer.end(SUCCEEDED, "failed")])
      await assert.rejects(late, error);
    assert.deepEqual([told.lost, writer.isLost, writer.isEmpty], [1, true, true]);
    await waiting[0];
  });

  it("hands each event to one flush, in order, with the count of durable events, and a flush waits for its own events", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("append", "flush", "take", "commit"), { maxLength: 60 }),
        async (calls) => {
          const { writer } = open();
          let accepted = 0;
          let durable = 0;
          let taken = 0;
          const seen: NewEvent[] = [];
          const flushes: { upTo: number; promise: Promise<void> }[] = [];
          for (const call of calls) {
            if (call === "append") void append(writer, steps(++accepted)[0]!);
            if (call === "flush") flushes.push({ upTo: accepted, promise: writer.flush() });
            if (call === "take" && taken === durable) {
              const { appended, events } = writer.take();
              assert.equal(appended, BigInt(durable));
              taken += events.length;
              seen.push(...events);
            }
            if (call === "commit" && taken > durable) {
              writer.commit(taken - durable);
              durable = taken;
            }
            for (const { upTo, promise } of flushes) assert.equal(await isSettled(promise), upTo <= durable);
          }
          assert.deepEqual(seen, steps(1, taken));
        },
      ),
      { numRuns: 50 },
    ));
});

describe("TapeWriter.settle", () => {
  const numbers = (writer: TapeWriter) => writer.take().events.map(({ body }) => JSON.parse(body).current as number);
  const filled = async (count: number, appended = 0n) => {
    const told = { events: 0 };
    const writer = new TapeWriter(FENCE, { appended, onEvents: () => told.events++, onLost: () => {} });
    for (let step = 1; step <= count; step++) await writer.append(steps(step)[0]!);
    return { writer, told };
  };

  it("drops the stored events, and offers the other events again together with newer events", async () => {
    for (const stored of [1n, 2n, 3n]) {
      const { writer, told } = await filled(3);
      writer.take();
      void writer.append(steps(4)[0]!);
      const flushed = writer.flush();
      told.events = 0;
      writer.settle({ appended: stored, isEnded: false, isOwn: true });
      assert.deepEqual([writer.durable, writer.accepted, told.events], [stored, 4n, 1]);
      assert.equal(await isSettled(flushed), false);
      const again = writer.take();
      assert.equal(again.appended, stored);
      writer.commit(again.events.length);
      await flushed;
      assert.equal(again.events.length, 4 - Number(stored));
    }
  });

  it("accepts more stored events than were taken, and drops waiting events up to that number", async () => {
    const { writer } = await filled(2);
    writer.take();
    for (const step of [3, 4]) void writer.append(steps(step)[0]!);
    writer.settle({ appended: 3n, isEnded: false, isOwn: true });
    assert.deepEqual([writer.durable, numbers(writer)], [3n, [4]]);
  });

  it("accepts more stored events than were appended, and drops later events up to that number", async () => {
    const { writer } = await filled(2);
    writer.take();
    writer.settle({ appended: 4n, isEnded: false, isOwn: true });
    assert.deepEqual([writer.durable, writer.accepted], [4n, 2n]);
    for (const step of [3, 4]) await append(writer, steps(step)[0]!);
    await writer.flush();
    assert.ok(writer.isEmpty);
    void append(writer, steps(5)[0]!);
    assert.deepEqual([writer.accepted, numbers(writer)], [5n, [5]]);
  });

  it("makes the end fail if more events are stored than the attempt has, unless an end is stored", async () => {
    for (const isEnded of [false, true]) {
      const { writer } = await filled(1);
      writer.take();
      writer.settle({ appended: 3n, isEnded, isOwn: true });
      await append(writer, steps(2)[0]!);
      const ended = writer.end(SUCCEEDED, "succeeded");
      if (isEnded) await ended;
      else await (writer.isLost ? assert.rejects(ended, { reason: "LEASE_LOST" }) : assert.fail("it has ended"));
    }
  });

  it("counts from the events that another process has stored", async () => {
    const { writer } = await filled(2, 5n);
    assert.deepEqual([writer.durable, writer.accepted], [5n, 7n]);
    assert.equal(writer.take().appended, 5n);
    writer.settle({ appended: 6n, isEnded: false, isOwn: true });
    assert.deepEqual([writer.durable, numbers(writer)], [6n, [2]]);
  });

  it("offers a taken end again, and changes nothing on a lost writer", async () => {
    const { writer } = await filled(2);
    const ended = writer.end(SUCCEEDED, "succeeded");
    writer.take();
    writer.settle({ appended: 2n, isEnded: false, isOwn: true });
    const again = writer.take();
    assert.deepEqual([again.events, again.end], [[SUCCEEDED], "succeeded"]);
    writer.commit(1);
    await ended;
    const lost = (await filled(2)).writer;
    lost.take();
    lost.revoke();
    lost.settle({ appended: 1n, isEnded: false, isOwn: true });
    assert.deepEqual([lost.isEmpty, lost.durable], [true, 0n]);
  });
});
