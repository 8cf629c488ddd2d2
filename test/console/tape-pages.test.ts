import assert from "node:assert/strict";
import type { SpoolEvent } from "../../src/client/types.ts";
import { BLOCK_EVENTS, TapePages } from "../../src/console/tape/tape-pages.ts";
import { eventually } from "../support/eventually.ts";

const LAST = 100_000;

describe("the pages of a tape", () => {
  it("are read when they come into view, and each page once", async () => {
    const { pages, reads } = open();
    using _ = pages;
    pages.want(1, 30, LAST);
    pages.want(5, 35, LAST);
    await eventually(() => assert.ok(pages.get(35)));
    assert.deepEqual(reads, [[1, BLOCK_EVENTS]]);
    pages.want(190, 220, LAST);
    await eventually(() => assert.ok(pages.get(190) && pages.get(220)));
    assert.deepEqual(reads.slice(1), [[BLOCK_EVENTS + 1, BLOCK_EVENTS]]);
  });

  it("are read to the end of the tape if an answer has fewer events than requested", async () => {
    const { pages, reads } = open({ answerMax: 70 });
    using _ = pages;
    pages.want(1, 20, 150);
    await eventually(() => assert.ok(pages.get(150)));
    assert.deepEqual(
      reads.map(([from]) => from),
      [1, 71, 141],
    );
  });

  it("are dropped when many other pages have been in view since, and are read again later", async () => {
    const { pages, reads } = open();
    using _ = pages;
    for (let block = 0; block < 100; block++) {
      const seq = block * BLOCK_EVENTS + 1;
      pages.want(seq, seq + 20, LAST);
      await eventually(() => assert.ok(pages.get(seq)));
    }
    const kept = Array.from({ length: LAST }, (_, index) => pages.get(index + 1)).filter(
      (event) => event !== undefined,
    );
    assert.ok(kept.length <= 50 * BLOCK_EVENTS, `${kept.length} events`);
    pages.want(1, 20, LAST);
    await eventually(() => assert.ok(pages.get(1)));
    assert.equal(reads.length, 101);
  });

  it("are no longer read when they leave the view", async () => {
    const held = Promise.withResolvers<void>();
    const aborted: number[] = [];
    using pages = new TapePages(
      async (fromSeq, limit, signal) => {
        signal.addEventListener("abort", () => aborted.push(fromSeq));
        if (fromSeq === 1) await held.promise;
        return events(fromSeq, limit);
      },
      () => {},
    );
    pages.want(1, 20, LAST);
    pages.want(50_001, 50_020, LAST);
    await eventually(() => assert.ok(pages.get(50_001)));
    held.resolve();
    assert.deepEqual(aborted, [1]);
    assert.equal(pages.get(1), undefined);
  });

  it("are requested again after a failed read", async () => {
    let isDown = true;
    using pages = new TapePages(
      (fromSeq, limit) => (isDown ? Promise.reject(new Error("down")) : Promise.resolve(events(fromSeq, limit))),
      () => {},
    );
    pages.want(1, 20, LAST);
    isDown = false;
    await eventually(() => assert.ok(pages.get(1)));
  });

  it("are not read if their events arrived by the stream", () => {
    const { pages, reads } = open();
    using _ = pages;
    for (let seq = 1; seq <= 300; seq++) pages.put(events(seq, 1));
    pages.want(1, 300, 300);
    assert.equal(pages.get(300)?.seq, 300n);
    assert.deepEqual(reads, []);
  });
});

function open({ answerMax = Infinity } = {}) {
  const reads: [fromSeq: number, limit: number][] = [];
  const pages = new TapePages(
    (fromSeq, limit) => {
      reads.push([fromSeq, limit]);
      return Promise.resolve(events(fromSeq, Math.min(limit, answerMax)));
    },
    () => {},
  );
  return { pages, reads };
}

function events(fromSeq: number, count: number): SpoolEvent[] {
  return Array.from({ length: count }, (_, index): SpoolEvent => {
    return { seq: BigInt(fromSeq + index), time: new Date(0), type: "log", level: "INFO", message: "line" };
  });
}
