import assert from "node:assert/strict";
import { Outbox } from "../../../src/rpc/call/outbox.ts";

async function read(outbox: Outbox<number>): Promise<number[]> {
  const messages: number[] = [];
  for await (const message of outbox) messages.push(message);
  return messages;
}

describe("an outbox", () => {
  it("yields messages in order until its end", async () => {
    const outbox = new Outbox<number>(10);
    outbox.push(1);
    const all = read(outbox);
    for (const message of [2, 3]) {
      outbox.push(message);
      await new Promise((resolve) => setImmediate(resolve));
    }
    outbox.push(4);
    outbox.end();
    outbox.push(5); // It has ended.
    assert.deepEqual(await all, [1, 2, 3, 4]);
  });

  it("yields the waiting messages before it fails with the first error", async () => {
    const outbox = new Outbox<number>(10);
    outbox.push(1);
    outbox.fail(new Error("first"));
    outbox.fail(new Error("second"));
    outbox.end();
    const messages = outbox[Symbol.asyncIterator]();
    assert.deepEqual(await messages.next(), { done: false, value: 1 });
    await assert.rejects(messages.next(), /first/);
  });

  it("makes writers wait while too many messages wait, and releases writers at its end", async () => {
    const outbox = new Outbox<number>(2);
    outbox.push(1);
    await outbox.room();
    outbox.push(2);
    let hasRoom = false;
    const room = outbox.room().then(() => (hasRoom = true));
    const messages = outbox[Symbol.asyncIterator]();
    await messages.next();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasRoom, false);
    await messages.next();
    const third = messages.next();
    await room;
    outbox.push(3);
    await third;
    for (const message of [4, 5, 6]) outbox.push(message);
    const ended = outbox.room();
    outbox.end();
    await ended;
    await outbox.room();
  });
});
