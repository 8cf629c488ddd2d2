/** The height of a row, in CSS pixels: with all rows of one height, the place of each is known. */
export const ROW_PX = 28;
/** Browsers lay out nothing that is much higher. A longer list is scrolled by a longer step. */
const HEIGHT_PX_MAX = 8_000_000;
/** Rows above and below what is seen, so that scrolling shows no gap. */
const OVERSCAN = 8;

/** Which rows of a long list are made, and where they stand. */
export interface Window {
  /** Of all that can be scrolled over. */
  readonly heightPx: number;
  /** The first row that is made, and the one after the last, from 0. */
  readonly first: number;
  readonly end: number;
  /** From the top of the scrolled height to the first row that is made. */
  readonly offsetPx: number;
}

export function windowOf(count: number, { scrollPx, viewPx }: { scrollPx: number; viewPx: number }): Window {
  const heightPx = Math.min(count * ROW_PX, HEIGHT_PX_MAX);
  const topPx = scrollPx * scaleOf(count, viewPx);
  const first = Math.max(0, Math.floor(topPx / ROW_PX) - OVERSCAN);
  const end = Math.min(count, Math.ceil((topPx + viewPx) / ROW_PX) + OVERSCAN);
  return { heightPx, first, end: Math.max(first, end), offsetPx: scrollPx - topPx + first * ROW_PX };
}

/** Where to scroll to so that a row is in the middle of the view, as far as the ends of the list allow. */
export function scrollToMiddle(index: number, count: number, viewPx: number): number {
  return clampScroll(index * ROW_PX - (viewPx - ROW_PX) / 2, count, viewPx);
}

/** Where to scroll to so that a row is seen: not at all, where it is. */
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

/** How many pixels of rows one pixel of scrolling passes. */
function scaleOf(count: number, viewPx: number): number {
  const fullPx = count * ROW_PX;
  return fullPx <= HEIGHT_PX_MAX ? 1 : (fullPx - viewPx) / (HEIGHT_PX_MAX - viewPx);
}
