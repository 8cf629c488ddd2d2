import type { TaskFailure } from "./event.ts";
import type { AttemptOutcome, Transition } from "./lifecycle.ts";
import { STOP_FAILURES } from "./lifecycle.ts";

/**
 * How an attempt ended, for logs, metrics and spans.
 *
 * - `succeeded`, `failed`, `cancelled`: the task ended with the attempt
 * - `retrying`: the attempt failed, and the task will have another
 * - `handed_over`: the attempt was released and does not count, because its process stops or it never reached its
 *   worker
 * - `moved`: its worker continues it over another stream or server
 * - `lost`: the task was taken from the attempt
 */
export type AttemptEnd =
  | { outcome: "succeeded" | "cancelled" | "handed_over" | "moved" | "lost" }
  | { outcome: "failed" | "retrying"; failure: TaskFailure };

/**
 * Returns how a decision about a running task ends its attempt. @param transition null: the attempt did not own the
 * task
 */
export function endByTransition(transition: Transition | null): AttemptEnd {
  switch (transition?.type) {
    case "end":
      return transition.status === "failed"
        ? { outcome: "failed", failure: failureIn(transition.event.body) }
        : { outcome: transition.status };
    case "requeue":
      return transition.isHandover
        ? { outcome: "handed_over" }
        : { outcome: "retrying", failure: failureIn(transition.event.body) };
    case "ask":
    case "unchanged":
    case undefined:
      return { outcome: "lost" };
  }
}

/** Returns how an attempt ended, as far as the process that ran its code knows. */
export function endByOutcome(outcome: AttemptOutcome): AttemptEnd {
  if (outcome.type === "returned") return { outcome: "succeeded" };
  switch (outcome.because) {
    case null:
      return { outcome: "failed", failure: outcome.failure };
    case "cancel":
      return { outcome: "cancelled" };
    case "deadline":
      return { outcome: "failed", failure: STOP_FAILURES.deadline };
    case "limit":
      return { outcome: "failed", failure: STOP_FAILURES.limit };
    case "shutdown":
    case "handover":
    case "unreached":
      return { outcome: "handed_over" };
    case "lost":
      return { outcome: "lost" };
  }
}

/** Returns the error of a `final` or `retrying` event. */
function failureIn(body: string): TaskFailure {
  return (JSON.parse(body) as { error: TaskFailure }).error;
}
