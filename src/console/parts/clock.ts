import { signal } from "@preact/signals";

const TICK_MS = 1_000;

/** How far the server's clock is ahead of the browser's. Answers have its time in whole seconds. */
let aheadMs = 0;

/** The server's current time, updated once a second, for durations of running tasks. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now() + aheadMs;
}, TICK_MS);

/** @param date the Date header of an answer that has just arrived */
export function setServerTime(date: string | null): void {
  const foundMs = Date.parse(date ?? "") - Date.now();
  // Small differences are within the precision of the header.
  aheadMs = Math.abs(foundMs) > 2 * TICK_MS ? foundMs : 0;
}
