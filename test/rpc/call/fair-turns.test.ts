import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { SpoolError } from "../../../src/domain/errors.ts";
import { FairTurns } from "../../../src/rpc/call/fair-turns.ts";

const NEVER = new AbortController().signal;

function openTurns({ atOnce = 1, waitingMax = 10 } = {}) {
  const turns = new FairTurns({ what: "tasks", atOnce, waitingMax });
  const begun: string[] = [];
  const take = async (caller: string, name: string, signal = NEVER) => {
    const turn = await turns.take(caller, signal);
    begun.push(name);
    return turn;
  };
  return { turns, begun, take };
}

describe("turns between callers", () => {
  it("start at once up to the limit of concurrent turns", async () => {
    const { begun, take } = openTurns({ atOnce: 2 });
    const [first] = await Promise.all([take("a", "1"), take("a", "2")]);
    const third = take("a", "3");
    await setImmediate();
    assert.deepEqual(begun, ["1", "2"]);
    first[Symbol.dispose]();
    first[Symbol.dispose](); // A turn ends once.
    const fourth = take("a", "4");
    await third;
    await setImmediate();
    assert.deepEqual(begun, ["1", "2", "3"]);
    (await third)[Symbol.dispose]();
    await fourth;
  });

  it("rotate between callers, however many calls of a caller wait", async () => {
    const { begun, take } = openTurns();
    const held = await take("a", "a0");
    const waiting = ["a1", "a2", "a3"].map((name) => take("a", name));
    waiting.push(take("b", "b1"), take("c", "c1"), take("b", "b2"));
    held[Symbol.dispose]();
    for (const _ of waiting) {
      await setImmediate();
      const index = Number(begun.length) - 2;
      const order = ["a1", "b1", "c1", "a2", "b2", "a3"];
      assert.equal(begun.at(-1), order[index]);
      const all = new Map(["a1", "a2", "a3", "b1", "c1", "b2"].map((name, at) => [name, waiting[at]!]));
      (await all.get(begun.at(-1)!)!)[Symbol.dispose]();
    }
    assert.equal(begun.length, 7);
  });

  it("are refused past the limit of waiting calls, for that caller only", async () => {
    const { turns, take } = openTurns({ waitingMax: 2 });
    const held = await take("a", "a0");
    const waiting = [take("a", "a1"), take("a", "a2")];
    await assert.rejects(turns.take("a", NEVER), (error: SpoolError) => {
      assert.deepEqual([error.reason, error.retryAfterMs], ["OVERLOADED", 250]);
      return true;
    });
    const other = take("b", "b1");
    held[Symbol.dispose]();
    for (const turn of [...waiting, other]) void turn.then((taken) => taken[Symbol.dispose]());
    await Promise.all([...waiting, other]);
  });

  it("are given up by a caller that disconnects", async () => {
    const { turns, begun, take } = openTurns({ waitingMax: 1 });
    const held = await take("a", "a0");
    const gone = new AbortController();
    const waiting = take("a", "a1", gone.signal);
    gone.abort(new SpoolError("CALL_CANCELLED", "gone"));
    await assert.rejects(waiting, /gone/);
    const next = take("a", "a2");
    held[Symbol.dispose]();
    (await next)[Symbol.dispose]();
    assert.deepEqual(begun, ["a0", "a2"]);
    await assert.rejects(turns.take("a", gone.signal), /gone/);
  });
});
