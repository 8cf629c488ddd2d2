// Kinds for servers and workers whose traces a test looks at.

import { trace } from "@opentelemetry/api";
import { TaskError } from "../../src/kinds/define-kind.ts";
import { kindOf, untilStopped } from "./engine-tasks.ts";

const tracer = trace.getTracer("traced-kinds");

/** Fails with a reason of its own. */
export const fails = kindOf("fails", () => Promise.reject(new TaskError("TOO_HOT", "it is too hot")));

/** Goes on until it is told to stop. */
export const waits = kindOf("waits", ({ signal }) => untilStopped(signal));

/** Has a span of its own, within the attempt's, and gives back where the attempt is in its trace. */
export const spans = kindOf("spans", (task) =>
  tracer.startActiveSpan("a step", async (span) => {
    await task.progress("step", 1);
    span.end();
    return { traceparent: task.traceparent };
  }),
);

/** As many events as it is asked for. */
export const emits = kindOf("emits", async (task) => {
  for (let number = 1; number <= Number(task.params["events"]); number++) await task.progress("event", number);
});
