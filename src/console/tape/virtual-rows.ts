/** The height of a row in CSS pixels. All rows have the same height, so their positions are known. */
export const ROW_PX = 28;
/** Browsers do not lay out much higher elements. A longer list scrolls in larger steps. */
const HEIGHT_PX_MAX = 8_000_000;
/** Extra rows above and below the visible ones, so that scrolling shows no gap. */
const OVERSCAN = 8;

/** The rendered rows of a long list, and their position. */
export interface Window {
  /** The height of the whole scrollable area. */
  readonly heightPx: number;
  /** The first rendered row from 0, and the row after the last one. */
  readonly first: number;
  readonly end: number;
  /** From the top of the scrollable area to the first rendered row. */
  readonly offsetPx: number;
}

export function windowOf(count: number, { scrollPx, viewPx }: { scrollPx: number; viewPx: number }): Window {
  const heightPx = Math.min(count * ROW_PX, HEIGHT_PX_MAX);
  const topPx = scrollPx * scaleOf(count, viewPx);
  const first = Math.max(0, Math.floor(topPx / ROW_PX) - OVERSCAN);
  const end = Math.min(count, Math.ceil((topPx + viewPx) / ROW_PX) + OVERSCAN);
  return { heightPx, first, end: Math.max(first, end), offsetPx: scrollPx - topPx + first * ROW_PX };
}

/** Returns the scroll position that shows a row in the middle, as far as the ends of the list allow. */
export function scrollToMiddle(index: number, count: number, viewPx: number): number {
  return clampScroll(index * ROW_PX - (viewPx - ROW_PX) / 2, count, viewPx);
}

/** Returns the scroll position that shows a row. Unchanged if the row is visible. */
export function scrollIntoView(
  index: number,
  count: number,
  { scrollPx, viewPx }: { scrollPx: number; viewPx: number },
): number {
  const topPx = scrollPx * scaleOf(count, viewPx);
  const rowPx = index * ROW_PX;
  if (rowPx < topPx) return clampScroll(rowPx, count, viewPx);
  if (rowPx + ROW_PX > topPx + viewPx) return clampScroll(rowPx + ROW_PX - viewPx, count, viewPx);
  return scrollPx;
}

function clampScroll(topPx: number, count: number, viewPx: number): number {
  const lastPx = Math.max(0, count * ROW_PX - viewPx);
  return Math.min(Math.max(0, topPx), lastPx) / scaleOf(count, viewPx);
}

/** Returns how many pixels of rows correspond to one pixel of scrolling. */
function scaleOf(count: number, viewPx: number): number {
  const fullPx = count * ROW_PX;
  return fullPx <= HEIGHT_PX_MAX ? 1 : (fullPx - viewPx) / (HEIGHT_PX_MAX - viewPx);
}
