import assert from "node:assert/strict";
import { KeptPages } from "../../../src/engine/read/page-cache.ts";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";

const KIB = 1024;

/** A page of one event, which takes so many bytes twice, and the overhead of two events twice. */
function page(bytes: number): TapePage {
  const event = { seq: 1n, time: new Date(0), type: "log" as const, body: "x".repeat(bytes) };
  return { taskId: "task", status: "running", events: [event], nextFromSeq: 2n, lastSeq: 9n, hasMore: true };
}

const query = (fromSeq: number, taskId = "task", limit = 10) => ({ taskId, fromSeq: BigInt(fromSeq), limit });

describe("kept pages", () => {
  it("are found by task, position and limit", () => {
    const kept = new KeptPages(KIB * KIB);
    const one = page(1);
    kept.keep(query(1), one);
    assert.equal(kept.find(query(1)), one);
    for (const other of [query(2), query(1, "other"), query(1, "task", 9)]) assert.equal(kept.find(other), undefined);
    const later = page(1);
    kept.keep(query(1), later);
    assert.equal(kept.find(query(1)), later);
  });

  it("are the last ones, as many as are within the bound", () => {
    const bytes = 10 * KIB;
    const kept = new KeptPages(3 * (2 * bytes + 4 * 160));
    for (const seq of [1, 2, 3]) kept.keep(query(seq), page(bytes));
    kept.keep(query(1), page(bytes)); // It is the newest now.
    assert.ok([1, 2, 3].every((seq) => kept.find(query(seq)) !== undefined));
    kept.keep(query(4), page(1));
    assert.deepEqual(
      [1, 2, 3, 4].map((seq) => kept.find(query(seq)) !== undefined),
      [true, false, true, true],
    );
    kept.keep(query(5), page(4 * bytes));
    assert.deepEqual(
      [1, 3, 4, 5].map((seq) => kept.find(query(seq)) !== undefined),
      [false, false, false, false],
    );
  });
});
