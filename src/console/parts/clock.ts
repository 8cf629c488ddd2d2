import { signal } from "@preact/signals";

const TICK_MS = 1_000;

/** The time now, by this machine, a second's step at a time: for how long something has been going on. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, TICK_MS);
