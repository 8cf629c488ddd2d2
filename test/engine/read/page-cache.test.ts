import assert from "node:assert/strict";
import { PageCache } from "../../../src/engine/read/page-cache.ts";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";

const KIB = 1024;

/** A page of one event, which takes so many bytes twice, and the overhead of two events twice. */
function page(bytes: number): TapePage {
  const event = { seq: 1n, time: new Date(0), type: "log" as const, body: "x".repeat(bytes) };
  return { taskId: "task", status: "running", events: [event], nextFromSeq: 2n, lastSeq: 9n, hasMore: true };
}

const query = (fromSeq: number, taskId = "task", limit = 10) => ({ taskId, fromSeq: BigInt(fromSeq), limit });

describe("the page cache", () => {
  it("finds pages by task, position and limit", () => {
    const cache = new PageCache(KIB * KIB);
    const one = page(1);
    cache.add(query(1), one);
    assert.equal(cache.find(query(1)), one);
    for (const other of [query(2), query(1, "other"), query(1, "task", 9)]) assert.equal(cache.find(other), undefined);
    const later = page(1);
    cache.add(query(1), later);
    assert.equal(cache.find(query(1)), later);
  });

  it("holds the most recently used pages within the bound", () => {
    const bytes = 10 * KIB;
    const cache = new PageCache(3 * (2 * bytes + 4 * 160));
    for (const seq of [1, 2, 3]) cache.add(query(seq), page(bytes));
    assert.ok([2, 3, 1].every((seq) => cache.find(query(seq)) !== undefined));
    cache.add(query(4), page(1));
    assert.deepEqual(
      [1, 2, 3, 4].map((seq) => cache.find(query(seq)) !== undefined),
      [true, false, true, true],
    );
  });

  it("does not add a page that is larger than the bound, and keeps the other pages", () => {
    const cache = new PageCache(10 * KIB);
    for (const seq of [1, 2]) cache.add(query(seq), page(seq * 4 * KIB));
    assert.deepEqual(
      [1, 2].map((seq) => cache.find(query(seq)) !== undefined),
      [true, false],
    );
  });
});
