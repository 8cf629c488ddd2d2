import { pause } from "./pause.ts";

/**
 * Waits until a multiple of some time has passed since the beginning of a work. So its end does not tell how long it took,
 * except for the number of multiples. The timers of Node fire at whole milliseconds of one clock, and the wait ends at
 * the first one after its time, wherever the wait began.
 *
 * @param begunAt by performance.now()
 */
export async function untilEven(begunAt: number, stepMs: number): Promise<void> {
  const steps = Math.ceil((performance.now() - begunAt) / stepMs);
  const dueAt = begunAt + Math.max(1, steps) * stepMs;
  for (let leftMs = stepMs; leftMs > 0; leftMs = dueAt - performance.now()) await pause(Math.min(leftMs, 1));
}
