import assert from "node:assert/strict";
import { CachedQuery } from "../../src/async/cached-query.ts";

/** A query that takes `tookMs` by the test's own clock, and counts its runs. */
function counted({ tookMs = 0, fails = false } = {}) {
  const state = { nowMs: 0, runs: 0 };
  const query = async () => {
    state.nowMs += tookMs;
    if (fails) throw new Error(`run ${++state.runs}`);
    return ++state.runs;
  };
  return { state, cached: new CachedQuery(query, { maxAgeMs: 1_000, ageFactor: 9, clock: () => state.nowMs }) };
}

describe("a cached query", () => {
  it("runs once for callers within the maximum age and again afterwards", async () => {
    const { state, cached } = counted();
    assert.ok(cached.isExpired);
    assert.deepEqual(await Promise.all([cached.read(), cached.read()]), [1, 1]);
    state.nowMs = 999;
    assert.deepEqual([cached.isExpired, await cached.read()], [false, 1]);
    state.nowMs = 1_000;
    assert.deepEqual([cached.isExpired, await cached.read()], [true, 2]);
  });

  it("is cached for longer if it took long", async () => {
    const { state, cached } = counted({ tookMs: 200 });
    await cached.read();
    state.nowMs = 200 + 9 * 200 - 1;
    assert.equal(await cached.read(), 1);
    state.nowMs++;
    assert.equal(await cached.read(), 2);
  });

  it("caches a failure like an answer", async () => {
    const { state, cached } = counted({ fails: true });
    for (const nowMs of [0, 999]) {
      state.nowMs = nowMs;
      await assert.rejects(cached.read(), { message: "run 1" });
    }
    state.nowMs = 1_000;
    const again = cached.read();
    await cached.settled();
    await assert.rejects(again, { message: "run 2" });
  });

  it("runs after the promise that it has to wait for and does not expire until then", async () => {
    const { state, cached } = counted();
    const turn = Promise.withResolvers<void>();
    const answer = cached.read(turn.promise);
    state.nowMs = 1_000_000;
    assert.deepEqual([cached.isExpired, state.runs], [false, 0]);
    turn.resolve();
    assert.equal(await answer, 1);
    state.nowMs += 999;
    assert.equal(cached.isExpired, false);
  });
});
