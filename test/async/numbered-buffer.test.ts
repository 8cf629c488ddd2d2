import assert from "node:assert/strict";
import fc from "fast-check";
import { NumberedBuffer } from "../../src/async/numbered-buffer.ts";
import type { BufferBound } from "../../src/async/numbered-buffer.ts";

const sizeOf = (text: string) => text.length;
const open = (bound: Partial<BufferBound> = {}, acknowledged = 0n) =>
  new NumberedBuffer<string>({ bound: { of: "unsent", items: 3, bytes: 10, ...bound }, sizeOf, acknowledged });

/** Whether a promise has settled, once everything that was to run has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => (settled = true);
  promise.then(settle, settle);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("a numbered buffer", () => {
  it("has no room at its bound of items and has room one item below", async () => {
    const buffer = open();
    for (const item of ["a", "b"]) buffer.add(item);
    await buffer.room();
    buffer.add("c");
    assert.equal(await isSettled(buffer.room()), false);
    assert.deepEqual([buffer.hasRoom, buffer.exceeds(1), buffer.exceeds(2)], [false, true, false]);
  });

  it("has no room at its bound of bytes and has room one byte below", () => {
    const buffer = open();
    buffer.add("x".repeat(9));
    assert.equal(buffer.hasRoom, true);
    buffer.add("x");
    assert.equal(buffer.hasRoom, false);
  });

  it("has room again when items are taken or when they are acknowledged, depending on its bound", async () => {
    for (const [of, hasRoomOnceTaken] of [
      ["unsent", true],
      ["unacknowledged", false],
    ] as const) {
      const buffer = open({ of });
      for (const item of ["a", "b", "c"]) buffer.add(item);
      const room = buffer.room();
      buffer.take();
      assert.equal(await isSettled(room), hasRoomOnceTaken);
      buffer.acknowledge(1n);
      await room;
    }
  });

  it("returns as many items as both limits allow, and a single item even above the limits", () => {
    const buffer = open();
    for (const item of ["aa", "bb", "c", "dddd", "e"]) buffer.add(item);
    assert.deepEqual(buffer.take(2, 9), { firstNumber: 1n, items: ["aa", "bb"], bytes: 4 });
    assert.deepEqual(buffer.take(9, 4), { firstNumber: 3n, items: ["c"], bytes: 1 });
    assert.deepEqual(buffer.take(9, 3), { firstNumber: 4n, items: ["dddd"], bytes: 4 });
    assert.deepEqual(buffer.take(), { firstNumber: 5n, items: ["e"], bytes: 1 });
    assert.deepEqual(buffer.take(), { firstNumber: 6n, items: [], bytes: 0 });
  });

  it("drops items whose numbers were acknowledged before the items were added", () => {
    const buffer = open({}, 5n);
    buffer.acknowledge(7n);
    for (const item of ["six", "seven", "eight"]) buffer.add(item);
    assert.deepEqual(buffer.take(), { firstNumber: 8n, items: ["eight"], bytes: 5 });
    assert.deepEqual([buffer.last, buffer.acknowledged], [8n, 7n]);
  });

  it("discards the items after a number and continues with the next number", () => {
    const buffer = open();
    for (const item of ["a", "b", "c"]) buffer.add(item);
    buffer.take(2);
    buffer.discardAfter(3n);
    assert.equal(buffer.last, 3n);
    buffer.discardAfter(1n);
    assert.deepEqual([buffer.last, buffer.unsentCount], [1n, 0]);
    buffer.add("d");
    buffer.resend();
    assert.deepEqual(buffer.take(), { firstNumber: 1n, items: ["a", "d"], bytes: 2 });
    buffer.acknowledge(2n);
    buffer.discardAfter(1n);
    assert.equal(buffer.last, 2n);
  });

  it("rejects all waiting promises and drops its items when it fails", async () => {
    const buffer = open();
    for (const item of ["a", "b", "c"]) buffer.add(item);
    const waiting = [buffer.room(), buffer.flush()];
    const error = new Error("lost");
    buffer.fail(error);
    for (const promise of waiting) await assert.rejects(promise, error);
    buffer.resend();
    assert.equal(buffer.unsentCount, 0);
  });

  it("keeps each item under its number until the item is acknowledged, for any order of calls", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom("unsent" as const, "unacknowledged" as const),
        fc.array(
          fc.oneof(
            fc.record({ call: fc.constantFrom("add" as const), size: fc.nat(6) }),
            fc.record({ call: fc.constantFrom("take" as const), size: fc.integer({ min: 1, max: 8 }) }),
            fc.record({
              call: fc.constantFrom("acknowledge" as const, "resend" as const, "flush" as const),
              size: fc.nat(9),
            }),
          ),
          { maxLength: 60 },
        ),
        async (of, calls) => {
          const buffer = open({ of });
          const added: string[] = [];
          let sent = 0;
          let acknowledged = 0;
          const flushes: { through: number; promise: Promise<void> }[] = [];
          for (const { call, size } of calls) {
            if (call === "add") {
              added.push("x".repeat(size));
              buffer.add(added.at(-1)!);
            }
            if (call === "take") {
              const { firstNumber, items, bytes } = buffer.take(size, 4 * size);
              assert.equal(firstNumber, BigInt(sent + 1));
              assert.deepEqual(items, added.slice(sent, sent + items.length));
              assert.equal(bytes, items.join("").length);
              assert.equal(items.length === 0, sent === added.length);
              sent += items.length;
            }
            if (call === "acknowledge") {
              acknowledged = Math.min(added.length, Math.max(acknowledged, size));
              sent = Math.max(sent, acknowledged);
              buffer.acknowledge(BigInt(acknowledged));
            }
            if (call === "resend") {
              buffer.resend();
              sent = acknowledged;
            }
            if (call === "flush") flushes.push({ through: added.length, promise: buffer.flush() });
            const held = added.slice(of === "unsent" ? sent : acknowledged);
            assert.equal(buffer.unsentCount, added.length - sent);
            assert.equal(buffer.hasRoom, held.length < 3 && held.join("").length < 10);
          }
          for (const { through, promise } of flushes) assert.equal(await isSettled(promise), through <= acknowledged);
        },
      ),
      { numRuns: 300 },
    ));
});
