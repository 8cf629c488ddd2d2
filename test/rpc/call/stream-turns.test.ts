import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { StreamTurns, STARTS_PER_TURN } from "../../../src/rpc/call/stream-turns.ts";

describe("the turns in which calls begin", () => {
  const rude = { name: "rude" };
  const other = { name: "other" };

  it("start a limited number of calls in one turn of the event loop and the rest in later turns", async () => {
    const turns = new StreamTurns();
    const begun: number[] = [];
    const total = 2 * STARTS_PER_TURN + 1;
    for (let index = 0; index < total; index++) turns.start(rude, () => begun.push(index));
    const counts = [begun.length];
    while (begun.length < total) {
      await setImmediate();
      counts.push(begun.length);
    }
    assert.deepEqual(counts, [STARTS_PER_TURN, 2 * STARTS_PER_TURN, total]);
    assert.deepEqual(
      begun,
      begun.toSorted((one, two) => one - two),
    );
  });

  it("serve connections in rotation: a thousand calls of one do not delay the first of another", async () => {
    const turns = new StreamTurns();
    const begun: object[] = [];
    for (let index = 0; index < 1_000; index++) turns.start(rude, () => begun.push(rude));
    turns.start(other, () => begun.push(other));
    await setImmediate();
    assert.equal(begun.indexOf(other), STARTS_PER_TURN + 1);
  });

  it("continue after a call that throws", async () => {
    const turns = new StreamTurns();
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => thrown.push(error));
    try {
      for (let index = 0; index < STARTS_PER_TURN; index++) turns.start(rude, () => {});
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
