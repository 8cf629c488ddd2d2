import assert from "node:assert/strict";
import { checkEveryMs, firstPace, nextPace, reportedOverdueMs, retainedKinds } from "../../src/domain/retention.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe("the retention of kinds", () => {
  it("has one group for each distinct retention, and none for tasks that are kept forever", () => {
    const retentionByKind = new Map([
      ["ingest", 7],
      ["audit", null],
      ["crawl", 7],
      ["same", 30],
      ["chat", 1],
    ]);
    const groups = [
      { retentionMs: 7, isOnly: true, kinds: ["ingest", "crawl"] },
      { retentionMs: 1, isOnly: true, kinds: ["chat"] },
    ];
    const others = { retentionMs: 30, isOnly: false, kinds: ["ingest", "audit", "crawl", "chat"] };
    assert.deepEqual(retainedKinds({ retention: 30, retentionByKind }), [others, ...groups]);
    retentionByKind.delete("same");
    assert.deepEqual(retainedKinds({ retention: null, retentionByKind }), groups);
    assert.deepEqual(retainedKinds({ retention: null, retentionByKind: new Map() }), []);
  });
});

describe("the pace of removals", () => {
  const HALF_MINUTE_MS = 30_000;

  /** Returns the rest factors of removals that are late by these times, one each half minute. */
  function restFactors(retentionMs: number, ...overdue: (number | null)[]): number[] {
    let pace = firstPace(0);
    return overdue.map((overdueMs, index) => {
      pace = nextPace(pace, overdueMs === null ? null : { overdueMs, retentionMs }, index * HALF_MINUTE_MS);
      return pace.restFactor;
    });
  }

  it("rests 9 times as long as a batch took, however large the backlog is, while removals keep up", () => {
    assert.deepEqual(restFactors(DAY_MS, 400 * DAY_MS, 399 * DAY_MS, 200 * DAY_MS), [9, 9, 9]);
    const growing = [10, 10, 10.2, 10.4].map((minutes) => 10 * DAY_MS + minutes * MINUTE_MS);
    assert.deepEqual(restFactors(DAY_MS, ...growing), [9, 9, 9, 9], "later by less than half of the time");
  });

  it("rests 3 times and then once as long if removals fall behind, and longer again if they catch up", () => {
    const late = (...minutes: number[]) => minutes.map((minute) => minute * MINUTE_MS);
    assert.deepEqual(restFactors(HOUR_MS, ...late(7, 7.5, 8, 8.5, 8.2, 8.1, 8.1)), [9, 3, 1, 1, 3, 9, 9]);
    assert.deepEqual(restFactors(HOUR_MS, ...late(7, 7.5, 8), null), [9, 3, 1, 9]);
  });

  it("does not hurry before a removal is late by a tenth of its retention or 10 min, and by 10 s at least", () => {
    const bounds: [retentionMs: number, lateMs: number][] = [
      [1_000, 10_000],
      [100_000, 10_000],
      [HOUR_MS, 6 * MINUTE_MS],
      [30 * DAY_MS, 10 * MINUTE_MS],
    ];
    for (const [retentionMs, lateMs] of bounds) {
      const before = lateMs - HALF_MINUTE_MS;
      assert.deepEqual(restFactors(retentionMs, before, lateMs), [9, 9]);
      assert.deepEqual(restFactors(retentionMs, before, lateMs + 1), [9, 3]);
    }
  });

  it("keeps a pace for half a minute", () => {
    const overdue = (overdueMs: number) => ({ overdueMs, retentionMs: HOUR_MS });
    const pace = nextPace(firstPace(0), overdue(HOUR_MS), 0);
    assert.equal(nextPace(pace, overdue(2 * HOUR_MS), HALF_MINUTE_MS - 1).restFactor, 9);
    assert.equal(nextPace(pace, overdue(2 * HOUR_MS), HALF_MINUTE_MS).restFactor, 3);
  });

  it("checks a hundred times within a retention, but at most each second and at least each minute", () => {
    const times = [1_000, 100_000, 200_000, HOUR_MS, 2 * HOUR_MS, 30 * DAY_MS].map(checkEveryMs);
    assert.deepEqual(times, [1_000, 1_000, 2_000, 36_000, 60_000, 60_000]);
  });

  it("is reported as behind after a tenth of the retention, and at least an hour", () => {
    assert.deepEqual([1_000, 10 * HOUR_MS, 30 * DAY_MS].map(reportedOverdueMs), [HOUR_MS, HOUR_MS, 3 * DAY_MS]);
  });
});
