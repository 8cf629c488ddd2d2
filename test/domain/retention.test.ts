import assert from "node:assert/strict";
import { checkEveryMs, reportedOverdueMs, restFactor, retainedKinds } from "../../src/domain/retention.ts";

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
  it("rests 9 times as long as a batch took, until a removal is overdue by a tenth of its retention or 10 min", () => {
    const bounds: [retentionMs: number, lateMs: number][] = [
      [1_000, 10_000],
      [100_000, 10_000],
      [HOUR_MS, 6 * MINUTE_MS],
      [30 * DAY_MS, 10 * MINUTE_MS],
    ];
    for (const [retentionMs, lateMs] of bounds) {
      assert.equal(restFactor({ retentionMs, overdueMs: 0 }), 9);
      assert.equal(restFactor({ retentionMs, overdueMs: lateMs }), 9);
      assert.equal(restFactor({ retentionMs, overdueMs: lateMs + 1 }), 3);
      assert.equal(restFactor({ retentionMs, overdueMs: 10 * lateMs }), 3);
      assert.equal(restFactor({ retentionMs, overdueMs: 10 * lateMs + 1 }), 1);
    }
  });

  it("checks a hundred times within a retention, but at most each second and at least each minute", () => {
    const times = [1_000, 100_000, 200_000, HOUR_MS, 2 * HOUR_MS, 30 * DAY_MS].map(checkEveryMs);
    assert.deepEqual(times, [1_000, 1_000, 2_000, 36_000, 60_000, 60_000]);
  });

  it("is reported as behind after a tenth of the retention, and at least an hour", () => {
    assert.deepEqual([1_000, 10 * HOUR_MS, 30 * DAY_MS].map(reportedOverdueMs), [HOUR_MS, HOUR_MS, 3 * DAY_MS]);
  });
});
