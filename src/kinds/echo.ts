import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind } from "./define-kind.ts";

/** Counts to `count`, `delay_ms` apart: the kind to try a server, a client or a follower with. */
export const echo = defineKind({
  name: "echo",
  params: v.strictObject({
    count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000)), 5),
    delay_ms: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000)), 0),
  }),
  async run({ params: { count, delay_ms: delayMs }, signal, ...task }) {
    for (let step = 1; step <= count; step++) {
      signal.throwIfAborted();
      await task.progress("echo", step, count, { step });
      if (delayMs > 0) await setTimeout(delayMs, undefined, { signal });
    }
    await task.partial("echo_done", { count });
    return { echoed: count };
  },
});
