import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind } from "../src/kinds/define-kind.ts";
import { machineMs } from "./clock.ts";

// The tasks that the benchmark starts: `spool serve --kinds bench/kinds.ts`.

const events = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000));

/** Emits so many events as fast as there is room for them. */
export const burst = defineKind({
  name: "bench-burst",
  params: v.strictObject({ events }),
  async run({ params, ...task }) {
    for (let step = 1; step <= params.events; step++) await task.progress("burst", step, params.events);
  },
});

/** Emits so many events, so many a second, each with the time at which it was emitted. */
export const paced = defineKind({
  name: "bench-paced",
  params: v.strictObject({ events, per_second: v.pipe(v.number(), v.minValue(1)) }),
  async run({ params: { events: total, per_second: perSecond }, ...task }) {
    const startedAt = machineMs();
    for (let step = 1; step <= total;) {
      // A timer is late by up to a millisecond, so the pace is kept against the clock and not from event to event.
      await setTimeout(1);
      const due = ((machineMs() - startedAt) * perSecond) / 1_000;
      for (; step <= Math.min(due, total); step++) await task.progress("paced", step, total, { at: machineMs() });
    }
  },
});
