import { setImmediate } from "node:timers/promises";
import { pause } from "./pause.ts";

/** A timer of Node fires up to so long after its time. */
const LATE_MS_MAX = 2;

/**
 * Waits until a multiple of some time has passed since the beginning of a work. So its end does not tell how long it took,
 * except for the number of multiples.
 *
 * A timer fires some time after its start, so its end would tell when the work ended. The last of the wait reads the
 * clock in each turn of the event loop, beside other work.
 *
 * @param begunAt by performance.now()
 */
export async function untilEven(begunAt: number, stepMs: number): Promise<void> {
  const steps = Math.ceil((performance.now() - begunAt) / stepMs);
  const dueAt = begunAt + Math.max(1, steps) * stepMs;
  const leftMs = Math.floor(dueAt - performance.now() - LATE_MS_MAX);
  if (leftMs > 0) await pause(leftMs);
  while (performance.now() < dueAt) await setImmediate();
}
