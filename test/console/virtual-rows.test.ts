import assert from "node:assert/strict";
import fc from "fast-check";
import { ROW_PX, scrollIntoView, scrollToMiddle, windowOf } from "../../src/console/tape/virtual-rows.ts";

const VIEW_PX = 560;
const counts = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 50_000_000 }));

describe("the window on a long list", () => {
  it("covers the whole view with few rows, at any position of a list of any length", () => {
    fc.assert(
      fc.property(counts, fc.double({ min: 0, max: 1, noNaN: true }), (count, share) => {
        const { heightPx } = windowOf(count, { scrollPx: 0, viewPx: VIEW_PX });
        const scrollPx = Math.max(0, heightPx - VIEW_PX) * share;
        const { first, end, offsetPx } = windowOf(count, { scrollPx, viewPx: VIEW_PX });
        assert.ok(end - first < VIEW_PX / ROW_PX + 20);
        assert.ok(first === 0 || offsetPx <= scrollPx);
        assert.ok(end === count || offsetPx + (end - first) * ROW_PX >= scrollPx + VIEW_PX);
      }),
    );
  });

  it("contains the last row after scrolling to the end", () => {
    fc.assert(
      fc.property(counts, (count) => {
        const { heightPx } = windowOf(count, { scrollPx: 0, viewPx: VIEW_PX });
        const { end, offsetPx, first } = windowOf(count, {
          scrollPx: Math.max(0, heightPx - VIEW_PX),
          viewPx: VIEW_PX,
        });
        assert.equal(end, count);
        assert.ok(offsetPx + (end - first) * ROW_PX <= heightPx + 1);
      }),
    );
  });

  it("can be scrolled to any row", () => {
    fc.assert(
      fc.property(counts, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (count, share) => {
        const index = Math.floor(count * share);
        const middle = scrollToMiddle(index, count, VIEW_PX);
        assert.ok(isWithin(index, count, middle));
        const moved = scrollIntoView(index, count, { scrollPx: 0, viewPx: VIEW_PX });
        assert.ok(isWithin(index, count, moved));
        assert.equal(scrollIntoView(index, count, { scrollPx: moved, viewPx: VIEW_PX }).toFixed(3), moved.toFixed(3));
      }),
    );
  });
});

function isWithin(index: number, count: number, scrollPx: number): boolean {
  const { first, offsetPx } = windowOf(count, { scrollPx, viewPx: VIEW_PX });
  const top = offsetPx + (index - first) * ROW_PX - scrollPx;
  return top >= -1 && top + ROW_PX <= VIEW_PX + 1;
}
