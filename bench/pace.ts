import { setTimeout } from "node:timers/promises";
import { machineMs } from "./clock.ts";

/**
 * Counts from 1 to a total, so many a second. A timer is late by up to a millisecond and more, so the pace is kept
 * against the clock and not from one to the next.
 */
export async function* pace({ total, perSecond }: { total: number; perSecond: number }): AsyncGenerator<number> {
  const startedAt = machineMs();
  for (let step = 1; step <= total;) {
    await setTimeout(1);
    const due = ((machineMs() - startedAt) * perSecond) / 1_000;
    for (; step <= Math.min(due, total); step++) yield step;
  }
}
