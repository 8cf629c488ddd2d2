import { newEvent } from "./event.ts";
import type { NewEvent, TaskFailure } from "./event.ts";
import type { JsonObject } from "./json.ts";
import type { Task, TerminalStatus } from "./task.ts";

/**
 * The life of a task, decided without I/O: given what is stored and what happened, what changes. The engine makes it
 * so in one commit. docs/lifecycle.md has the picture.
 *
 *   pending ──claimed──▶ running ──returned──▶ succeeded
 *      ▲  │                 │ ├───threw, lost, timed out──▶ failed
 *      │  └──cancel──┐      │ └───cancel, then the code or the grace ends──▶ cancelled
 *      └──retrying───┼──────┘
 *                    └──▶ cancelled
 */
export type Transition =
  | { type: "unchanged" }
  /** The wish to cancel is recorded; the owner is told. */
  | { type: "ask"; reason: string; event: NewEvent }
  /** Back to pending for another attempt, after a delay. The event needs the time of the commit. */
  | { type: "requeue"; delayMs: number; event: (nextAttemptAt: Date) => NewEvent }
  | { type: "end"; status: TerminalStatus; event: NewEvent };

/** How the code of an attempt came to its end. */
export type AttemptOutcome =
  | { type: "returned"; result: JsonObject }
  /** It threw. `because` is why its signal had fired before, where it had. */
  | { type: "threw"; failure: TaskFailure; because: StopReason | null };

/** Why the code of a running attempt is told to stop. */
export type StopReason = "cancel" | "deadline" | "shutdown" | "lost";

type Deciding = Pick<Task, "status" | "attempt" | "maxAttempts" | "cancelRequestedAt" | "cancelReason">;

const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 5 * 60_000;

/** What a cancel does. A pending task ends at once; a running one is asked; a finished one stays as it is. */
export function requestCancel(task: Deciding, reason: string): Transition {
  switch (task.status) {
    case "pending":
      return cancelled(reason);
    case "running":
      return task.cancelRequestedAt === null
        ? { type: "ask", reason, event: newEvent("cancel_requested", { reason }) }
        : { type: "unchanged" };
    case "succeeded":
    case "failed":
    case "cancelled":
      return { type: "unchanged" };
  }
}

/** What the end of an attempt's code does. A result counts however late it comes, while the task is still its own. */
export function endAttempt(task: Deciding, outcome: AttemptOutcome): Transition {
  if (outcome.type === "returned") {
    const event = newEvent("final", { status: "succeeded", result: outcome.result });
    return { type: "end", status: "succeeded", event };
  }
  return outcome.because === null ? retryOrFail(task, outcome.failure) : stopAttempt(task, outcome.because);
}

/** What becomes of a running task whose code was told to stop and has, or has let its grace pass, or is gone. */
export function stopAttempt(task: Deciding, because: StopReason): Transition {
  if (task.status !== "running") return { type: "unchanged" };
  if (because === "cancel" || task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  return retryOrFail(task, STOP_FAILURES[because]);
}

const STOP_FAILURES = {
  deadline: { reason: "DEADLINE_EXCEEDED", message: "the attempt ran longer than its timeout" },
  shutdown: { reason: "SERVER_SHUTDOWN", message: "the server that ran the task was shut down" },
  lost: { reason: "WORKER_LOST", message: "the process that ran the task is gone" },
} satisfies Record<Exclude<StopReason, "cancel">, TaskFailure>;

function retryOrFail(task: Deciding, error: TaskFailure): Transition {
  if (task.attempt >= task.maxAttempts) {
    return { type: "end", status: "failed", event: newEvent("final", { status: "failed", error }) };
  }
  // It failed before it heard of the cancel: another attempt would run, after its delay, what nobody wants any more.
  if (task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  return {
    type: "requeue",
    delayMs: retryDelayMs(task.attempt),
    event: (nextAttemptAt) => newEvent("retrying", { error, next_attempt_at: nextAttemptAt.toISOString() }),
  };
}

/** One second after the first attempt, doubled with each, five minutes at the most. */
export function retryDelayMs(attempt: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** (attempt - 1));
}

function cancelled(reason: string | null): Transition {
  const error = { reason: "CANCELLED", message: reason || "the task was cancelled" };
  return { type: "end", status: "cancelled", event: newEvent("final", { status: "cancelled", error }) };
}
