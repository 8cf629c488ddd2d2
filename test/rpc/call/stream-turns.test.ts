import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { STARTS_PER_TURN, StreamTurns, TURN_MS } from "../../../src/rpc/call/stream-turns.ts";

describe("the turns in which calls begin", () => {
  const rude = { name: "rude" };
  const other = { name: "other" };
  /** As many calls start in one turn if each takes 1 ms. */
  const PER_TURN = TURN_MS;
  let now = 0;
  const clock = () => now;
  /** A call that takes 1 ms. */
  const taking =
    (begin: () => void): (() => void) =>
    () => {
      now++;
      begin();
    };

  it("start calls for a limited time in one turn of the event loop and the rest in later turns", async () => {
    const turns = new StreamTurns(clock);
    const begun: number[] = [];
    const total = 2 * PER_TURN + 1;
    for (let index = 0; index < total; index++)
      turns.start(
        rude,
        taking(() => begun.push(index)),
      );
    const counts = [begun.length];
    while (begun.length < total) {
      await setImmediate();
      counts.push(begun.length);
    }
    assert.deepEqual(counts, [PER_TURN, 2 * PER_TURN, total]);
    assert.deepEqual(
      begun,
      begun.toSorted((one, two) => one - two),
    );
  });

  it("start a limited number of calls in one turn that take no time, however long ago the last turn was", async () => {
    const turns = new StreamTurns(clock);
    for (let round = 0; round < 3; round++) {
      let begun = 0;
      for (let index = 0; index <= STARTS_PER_TURN; index++) turns.start(rude, () => begun++);
      assert.equal(begun, STARTS_PER_TURN);
      await setImmediate();
      assert.equal(begun, STARTS_PER_TURN + 1);
      await setImmediate();
      now += 10 * TURN_MS;
    }
  });

  it("serve connections in rotation: a thousand calls of one do not delay the first of another", async () => {
    const turns = new StreamTurns(clock);
    const begun: object[] = [];
    for (let index = 0; index < 1_000; index++)
      turns.start(
        rude,
        taking(() => begun.push(rude)),
      );
    turns.start(
      other,
      taking(() => begun.push(other)),
    );
    await setImmediate();
    assert.equal(begun.indexOf(other), PER_TURN + 1);
  });

  it("continue after a call that throws", async () => {
    const turns = new StreamTurns(clock);
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => thrown.push(error));
    try {
      for (let index = 0; index < PER_TURN; index++)
        turns.start(
          rude,
          taking(() => {}),
        );
      const later = Promise.withResolvers<void>();
      turns.start(rude, () => {
        throw new Error("on purpose");
      });
      turns.start(rude, later.resolve);
      await later.promise;
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
    assert.match(String(thrown[0]), /on purpose/);
  });
});
