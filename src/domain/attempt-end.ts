import type { TaskFailure } from "./event.ts";
import type { AttemptOutcome, Transition } from "./lifecycle.ts";
import { STOP_FAILURES } from "./lifecycle.ts";

/**
 * How an attempt ended, for those who operate the service.
 *
 * - `succeeded`, `failed`, `cancelled`: the task ended with it
 * - `retrying`: it failed, and another attempt is to come
 * - `handed_over`: it was given back at no cost, by a process that stops or because it never reached its worker
 * - `moved`: its worker goes on with it by another stream or server
 * - `lost`: the task was taken from it
 */
export type AttemptEnd =
  | { outcome: "succeeded" | "cancelled" | "handed_over" | "moved" | "lost" }
  | { outcome: "failed" | "retrying"; failure: TaskFailure };

/** What a decision on a running task makes of its attempt. null: it was not the attempt's any more. */
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

/** What the end of its code makes of an attempt, as far as the process that ran it can tell. */
export function endByOutcome(outcome: AttemptOutcome): AttemptEnd {
  if (outcome.type === "returned") return { outcome: "succeeded" };
  switch (outcome.because) {
    case null:
      return { outcome: "failed", failure: outcome.failure };
    case "cancel":
      return { outcome: "cancelled" };
    case "deadline":
      return { outcome: "failed", failure: STOP_FAILURES.deadline };
    case "shutdown":
    case "handover":
    case "unreached":
      return { outcome: "handed_over" };
    case "lost":
      return { outcome: "lost" };
  }
}

/** Of a `final` or `retrying` event. */
function failureIn(body: string): TaskFailure {
  return (JSON.parse(body) as { error: TaskFailure }).error;
}
