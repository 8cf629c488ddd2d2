import assert from "node:assert/strict";
import type { Activity, ActivityQuery } from "../../../src/domain/activity.ts";
import { StoreUnavailable } from "../../../src/domain/errors.ts";
import { SharedActivity } from "../../../src/engine/read/shared-activity.ts";

const QUERY: ActivityQuery = { windowMs: 60_000, stepMs: 1_000, kinds: [] };

/** A count that takes as long as the test says, by a clock that the test sets. */
class Bench {
  nowMs = 0;
  /** The counts that have begun, in order. */
  readonly counts: { query: ActivityQuery; end: (error?: Error) => void }[] = [];
  atOnce = 0;
  atOnceMax = 0;

  readonly shared = new SharedActivity(
    async (query) => {
      this.atOnceMax = Math.max(this.atOnceMax, ++this.atOnce);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.counts.push({ query, end: (error) => (error ? reject(error) : resolve()) });
      await promise.finally(() => this.atOnce--);
      return { steps: [], stepMs: query.stepMs, kinds: [] };
    },
    () => this.nowMs,
  );

  /** Calls once. A count that this call starts takes so long. */
  async ask(query: Partial<ActivityQuery> = {}, tookMs = 0): Promise<Activity> {
    const begun = this.counts.length;
    const answer = this.shared.read({ ...QUERY, ...query });
    await settled();
    this.nowMs += tookMs;
    for (const { end } of this.counts.slice(begun)) end();
    return answer;
  }
}

/** Waits until everything that waits only for promises is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("SharedActivity", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  it("counts once for all calls during the count and within a second after it", async () => {
    const answers = Array.from({ length: 100 }, () => bench.shared.read(QUERY));
    await settled();
    bench.counts[0]!.end();
    assert.equal(new Set(await Promise.all(answers)).size, 1);
    bench.nowMs += 999;
    assert.equal(await bench.ask(), await answers[0]);
    assert.equal(bench.counts.length, 1);
    bench.nowMs += 1;
    assert.notEqual(await bench.ask(), await answers[0]);
    assert.equal(bench.counts.length, 2);
  });

  it("shares a count whatever the order of the kinds, and only for the same query", async () => {
    const answer = await bench.ask({ kinds: ["a", "b"] });
    assert.equal(await bench.ask({ kinds: ["b", "a"] }), answer);
    for (const other of [{ kinds: ["a"] }, { kinds: [] }, { stepMs: 2_000 }, { windowMs: 61_000 }]) {
      assert.notEqual(await bench.ask({ kinds: ["a", "b"], ...other }), answer);
    }
  });

  it("counts less often the longer a count takes", async () => {
    await bench.ask({}, 2_000);
    bench.nowMs += 17_999;
    await bench.ask();
    assert.equal(bench.counts.length, 1);
    bench.nowMs += 1;
    await bench.ask();
    assert.equal(bench.counts.length, 2);
  });

  it("runs the counts of different queries one after the other", async () => {
    const answers = [1_000, 2_000, 3_000].map((stepMs) => bench.shared.read({ ...QUERY, stepMs }));
    for (let count = 0; count < 3; count++) {
      await settled();
      bench.counts[count]!.end();
    }
    await Promise.all(answers);
    assert.deepEqual([bench.counts.map(({ query }) => query.stepMs), bench.atOnceMax], [[1_000, 2_000, 3_000], 1]);
  });

  it("rejects all calls that share a failed count, and no other query", async () => {
    const failing = [bench.shared.read(QUERY), bench.shared.read(QUERY)];
    const other = bench.shared.read({ ...QUERY, stepMs: 2_000 });
    await settled();
    bench.counts[0]!.end(new StoreUnavailable(new Error("gone")));
    await settled();
    bench.counts[1]!.end();
    for (const answer of [...failing, bench.shared.read(QUERY)]) {
      await assert.rejects(answer, { reason: "STORE_UNAVAILABLE" });
    }
    await other;
    bench.nowMs += 1_000;
    await bench.ask();
    assert.equal(bench.counts.length, 3);
  });

  it("refuses the 101st different query until a cached one has expired", async () => {
    const ask = (index: number) => bench.ask({ windowMs: 60_000 + index });
    for (let index = 0; index < 100; index++) await ask(index);
    await assert.rejects(ask(100), { reason: "OVERLOADED" });
    await ask(7);
    bench.nowMs += 1_000;
    await ask(100);
    assert.equal(bench.counts.length, 101);
  });
});
