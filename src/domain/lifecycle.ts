import { cutMessage } from "./emission.ts";
import { newEvent } from "./event.ts";
import type { NewEvent, TaskFailure } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { retryDelayMs } from "./retry.ts";
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
  /**
   * Back to pending for another attempt, not before nextAttemptAt. A handover does not use the attempt up. `crashes` is
   * how many attempts in a row have ended with their process by then.
   */
  | { type: "requeue"; nextAttemptAt: Date; isHandover: boolean; crashes: number; event: NewEvent }
  | End;

export interface End {
  type: "end";
  status: TerminalStatus;
  event: NewEvent;
  /** Where the last attempt ended with its process: how many in a row have. */
  crashes?: number;
}

/** How the code of an attempt came to its end. */
export type AttemptOutcome =
  | { type: "returned"; result: JsonObject }
  /**
   * It threw. `because` is why its signal had fired before, where it had; `isFinal`: it says itself that trying again
   * is of no use.
   */
  | { type: "threw"; failure: TaskFailure; because: StopReason | null; isFinal: boolean };

/**
 * Why the code of a running attempt is told to stop. `handover`: the process stops, and another can resume the task;
 * `unreached`: it never came to the worker that it was for.
 */
export type StopReason = "cancel" | "deadline" | "shutdown" | "handover" | "unreached" | "lost";

/** What a decision depends on besides the task: the time and a random number. */
export interface DecisionContext {
  /** By the database's clock. */
  at: Date;
  /** 0 to 1, drawn for this decision. */
  random: number;
}

type Deciding = Pick<
  Task,
  | "status"
  | "attempt"
  | "maxAttempts"
  | "handovers"
  | "crashes"
  | "retryPolicy"
  | "deadlineAt"
  | "cancelRequestedAt"
  | "cancelReason"
>;

const DEADLINE_PASSED: TaskFailure = { reason: "DEADLINE_EXCEEDED", message: "the task has passed its deadline" };
const SHUTDOWN: TaskFailure = { reason: "SERVER_SHUTDOWN", message: "the process that ran the task was shut down" };
const UNREACHED: TaskFailure = {
  reason: "WORKER_UNREACHED",
  message: "the task did not reach the worker that it was for",
};
export const STOP_FAILURES = {
  deadline: { reason: "DEADLINE_EXCEEDED", message: "the attempt ran longer than its timeout" },
  shutdown: SHUTDOWN,
  lost: { reason: "WORKER_LOST", message: "the process that ran the task is gone" },
} satisfies Partial<Record<StopReason, TaskFailure>>;

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
export function endAttempt(task: Deciding, outcome: AttemptOutcome, context: DecisionContext): Transition {
  if (outcome.type === "returned") return succeeded(outcome.result);
  if (outcome.because !== null) return stopAttempt(task, outcome.because, context);
  return outcome.isFinal ? failed(outcome.failure) : retryOrFail(task, outcome.failure, context);
}

/** The end that an outcome is, whatever became of the task since its attempt began and whenever; null: those decide. */
export function certainEnd(task: Pick<Deciding, Budget>, outcome: AttemptOutcome): End | null {
  if (outcome.type === "returned") return succeeded(outcome.result);
  if (outcome.because !== null) return null;
  return outcome.isFinal || !hasAttemptsLeft(task) ? failed(outcome.failure) : null;
}

/** What becomes of a running task whose code was told to stop and has, or has let its grace pass, or is gone. */
export function stopAttempt(task: Deciding, because: StopReason, context: DecisionContext): Transition {
  if (task.status !== "running") return { type: "unchanged" };
  if (because === "cancel" || task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  if (hasPassed(task.deadlineAt, context.at)) return failed(DEADLINE_PASSED);
  if (because === "handover") return requeued(SHUTDOWN, context.at, { isHandover: true, crashes: 0 });
  if (because === "unreached") return requeued(UNREACHED, context.at, { isHandover: true, crashes: task.crashes });
  // A process that left in order, or was about to: that its tasks were lost says nothing of them, for or against.
  const crashes = because === "lost" ? task.crashes : 0;
  return retryOrFail(task, STOP_FAILURES[because], context, crashes);
}

/** That a process died with a task. */
export interface Death {
  /** How many attempts in a row may end so, before the task is ended, whatever attempts it has left. */
  crashesMax: number;
  /** What took it down, where that is known to be the code of the task; null: nobody knows. */
  message: string | null;
}

/**
 * What becomes of a running task whose process died. Where nobody knows what took it down, each of its tasks may have:
 * only what is there each time is ended for it.
 */
export function endWithProcess(task: Deciding, { crashesMax, message }: Death, context: DecisionContext): Transition {
  if (task.status !== "running") return { type: "unchanged" };
  if (task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  if (hasPassed(task.deadlineAt, context.at)) return failed(DEADLINE_PASSED);
  const crashes = task.crashes + 1;
  const failure = message === null ? STOP_FAILURES.lost : { reason: "WORKER_CRASHED", message: cutMessage(message) };
  if (crashes < crashesMax) return withCrashes(retryOrFail(task, failure, context, crashes), crashes);
  const often = `the process that ran the task died in ${crashes} attempts in a row`;
  return withCrashes(failed({ reason: "WORKER_CRASHED", message: cutMessage(message ?? often) }), crashes);
}

/**
 * What becomes of a running task whose process is taken down by another task's code. It loses no attempt, where it may
 * be run again at all: its kind can resume it, or its start gives it more attempts than one.
 */
export function outliveProcess(task: Deciding, kind: { isResumable: boolean }, context: DecisionContext): Transition {
  if (task.status !== "running") return { type: "unchanged" };
  if (task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  if (hasPassed(task.deadlineAt, context.at)) return failed(DEADLINE_PASSED);
  if (!kind.isResumable && !hasAttemptsLeft(task)) return failed(STOP_FAILURES.lost);
  return requeued(STOP_FAILURES.lost, context.at, { isHandover: true, crashes: task.crashes });
}

function withCrashes(transition: Transition, crashes: number): Transition {
  return transition.type === "end" ? { ...transition, crashes } : transition;
}

/** What becomes of a task that waits past its deadline. */
export function expire(task: Deciding, { at }: DecisionContext): Transition {
  const isOver = task.status === "pending" && hasPassed(task.deadlineAt, at);
  return isOver ? failed(DEADLINE_PASSED) : { type: "unchanged" };
}

/** What becomes of a task that waits and whose params its kind refuses. */
export function refuse({ status }: Deciding, failure: TaskFailure): Transition {
  return status === "pending" ? failed(failure) : { type: "unchanged" };
}

function retryOrFail(task: Deciding, error: TaskFailure, { at, random }: DecisionContext, crashes = 0): Transition {
  if (!hasAttemptsLeft(task)) return failed(error);
  // It failed before it heard of the cancel: another attempt would run, after its delay, what nobody wants any more.
  if (task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  const delayMs = retryDelayMs(task.retryPolicy, attemptsUsed(task), random);
  const nextAttemptAt = new Date(at.getTime() + delayMs);
  // An attempt that could only begin too late: why this one failed says more than a deadline passed in waiting.
  if (hasPassed(task.deadlineAt, nextAttemptAt)) return failed(error);
  return requeued(error, nextAttemptAt, { isHandover: false, crashes });
}

type Budget = "attempt" | "handovers" | "maxAttempts";

function hasAttemptsLeft(task: Pick<Deciding, Budget>): boolean {
  return attemptsUsed(task) < task.maxAttempts;
}

function attemptsUsed({ attempt, handovers }: Pick<Deciding, Budget>): number {
  return attempt - handovers;
}

function hasPassed(deadlineAt: Date | null, at: Date): boolean {
  return deadlineAt !== null && deadlineAt <= at;
}

function requeued(
  error: TaskFailure,
  nextAttemptAt: Date,
  { isHandover, crashes }: { isHandover: boolean; crashes: number },
): Transition {
  const event = newEvent("retrying", { error, next_attempt_at: nextAttemptAt.toISOString() });
  return { type: "requeue", nextAttemptAt, isHandover, crashes, event };
}

function succeeded(result: JsonObject): End {
  return { type: "end", status: "succeeded", event: newEvent("final", { status: "succeeded", result }) };
}

function failed(error: TaskFailure): End {
  return { type: "end", status: "failed", event: newEvent("final", { status: "failed", error }) };
}

function cancelled(reason: string | null): End {
  const error = { reason: "CANCELLED", message: reason || "the task was cancelled" };
  return { type: "end", status: "cancelled", event: newEvent("final", { status: "cancelled", error }) };
}
