import { signal } from "@preact/signals";

const TICK_MS = 1_000;

/** How far the server's clock is ahead of this machine's. Answers say it to the second. */
let aheadMs = 0;

/** The time now, by the server, a second's step at a time: for how long something has been going on. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now() + aheadMs;
}, TICK_MS);

/** @param date of an answer that has just come, as HTTP writes it */
export function setServerTime(date: string | null): void {
  const foundMs = Date.parse(date ?? "") - Date.now();
  // Two clocks that agree to a second or two are better left alone.
  aheadMs = Math.abs(foundMs) > 2 * TICK_MS ? foundMs : 0;
}
