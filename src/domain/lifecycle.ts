import { cutMessage } from "./emission.ts";
import { newEvent } from "./event.ts";
import type { NewEvent, TaskFailure } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { retryDelayMs } from "./retry.ts";
import type { Task, TerminalStatus } from "./task.ts";

/**
 * A change of a task, decided without I/O from the stored task and an event. The engine commits it in one transaction.
 * docs/lifecycle.md has the diagram.
 *
 *   pending ──claimed──▶ running ──returned──▶ succeeded
 *      ▲  │                 │ ├───threw, lost, timed out──▶ failed
 *      │  └──cancel──┐      │ └───cancel, then the code or the grace ends──▶ cancelled
 *      └──retrying───┼──────┘
 *                    └──▶ cancelled
 */
export type Transition =
  | { type: "unchanged" }
  /** The cancel request is recorded, and the owner of the task is notified. */
  | { type: "ask"; reason: string; cancelledBy: string | null; event: NewEvent }
  /**
   * The task returns to pending for another attempt, not before nextAttemptAt. A handover does not count as an attempt.
   * `crashes` is the number of attempts in a row that have ended with their process.
   */
  | { type: "requeue"; nextAttemptAt: Date; isHandover: boolean; crashes: number; event: NewEvent }
  | End;

export interface End {
  type: "end";
  status: TerminalStatus;
  event: NewEvent;
  /** If the last attempt ended with its process: the number of attempts in a row that did. */
  crashes?: number;
  /** If a cancel ended a pending task: the name of the principal that asked. */
  cancelledBy?: string | null;
}

/** A request to cancel a task. */
export interface Cancel {
  /** For people; may be empty. */
  reason: string;
  /** The name of the principal that asks; null: the server does not authenticate calls. */
  by: string | null;
}

/** How the code of an attempt ended. */
export type AttemptOutcome =
  | { type: "returned"; result: JsonObject }
  /**
   * The code threw. `because`: why its signal had fired before; null: it had not. `isFinal`: the code declared the
   * error as not retryable.
   */
  | { type: "threw"; failure: TaskFailure; because: StopReason | null; isFinal: boolean };

/**
 * Why the code of a running attempt must stop. `handover`: the process stops, and another process can resume the task.
 * `unreached`: the task never reached its worker. `limit`: the task has emitted more than its namespace allows.
 */
export type StopReason = "cancel" | "deadline" | "limit" | "shutdown" | "handover" | "unreached" | "lost";

/** What a decision depends on in addition to the task: the time and a random number. */
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

/** What decisions depend on, of a task that has no deadline, and that nothing has happened to yet. */
export const NEW_TASK = {
  handovers: 0,
  crashes: 0,
  deadlineAt: null,
  cancelRequestedAt: null,
  cancelReason: null,
} satisfies Partial<Deciding>;

const DEADLINE_PASSED: TaskFailure = { reason: "DEADLINE_EXCEEDED", message: "the task has passed its deadline" };
const SHUTDOWN: TaskFailure = { reason: "SERVER_SHUTDOWN", message: "the process that ran the task was shut down" };
const UNREACHED: TaskFailure = {
  reason: "WORKER_UNREACHED",
  message: "the task did not reach its worker",
};
export const STOP_FAILURES = {
  deadline: { reason: "DEADLINE_EXCEEDED", message: "the attempt ran longer than its timeout" },
  limit: { reason: "LIMIT_EXCEEDED", message: "the task emitted more than its namespace allows" },
  shutdown: SHUTDOWN,
  lost: { reason: "WORKER_LOST", message: "the process that ran the task is gone" },
} satisfies Partial<Record<StopReason, TaskFailure>>;

/**
 * Decides a cancel. A pending task ends at once, a running task is asked to stop, and a finished task does not change.
 */
export function requestCancel(task: Deciding, { reason, by }: Cancel): Transition {
  switch (task.status) {
    case "pending":
      return { ...cancelled(reason), cancelledBy: by };
    case "running":
      return task.cancelRequestedAt === null ? asked(reason, by) : { type: "unchanged" };
    case "succeeded":
    case "failed":
    case "cancelled":
      return { type: "unchanged" };
  }
}

/** Decides the end of an attempt's code. A late result counts too, as long as the attempt owns the task. */
export function endAttempt(task: Deciding, outcome: AttemptOutcome, context: DecisionContext): Transition {
  if (outcome.type === "returned") return succeeded(outcome.result);
  if (outcome.because !== null) return stopAttempt(task, outcome.because, context);
  return outcome.isFinal ? failed(outcome.failure) : retryOrFail(task, outcome.failure, context);
}

/**
 * Returns the end that an outcome leads to in any case, independent of time and of changes to the task since its
 * attempt started; null: the end depends on them.
 */
export function certainEnd(task: Pick<Deciding, Budget>, outcome: AttemptOutcome): End | null {
  if (outcome.type === "returned") return succeeded(outcome.result);
  if (outcome.because !== null) return null;
  return outcome.isFinal || !hasAttemptsLeft(task) ? failed(outcome.failure) : null;
}

/** Decides about a running task whose code was asked to stop and has stopped, exceeded its grace, or is gone. */
export function stopAttempt(task: Deciding, because: StopReason, context: DecisionContext): Transition {
  if (task.status !== "running") return { type: "unchanged" };
  if (because === "cancel" || task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  if (hasPassed(task.deadlineAt, context.at)) return failed(DEADLINE_PASSED);
  // Another attempt would reach the limit as well.
  if (because === "limit") return failed(STOP_FAILURES.limit);
  if (because === "handover") return requeued(SHUTDOWN, context.at, { isHandover: true, crashes: 0 });
  if (because === "unreached") return requeued(UNREACHED, context.at, { isHandover: true, crashes: task.crashes });
  // A loss while the process stops in order is no crash, and no sign of health either: the count stays. Code that has
  // ended or was stopped shows that its process lives: the count starts anew.
  const crashes = because === "lost" ? task.crashes : 0;
  return retryOrFail(task, STOP_FAILURES[because], context, crashes);
}

/** The death of a process that ran a task. */
export interface Death {
  /** The number of attempts in a row that may crash before the task fails, even if it has attempts left. */
  crashesMax: number;
  /** Why the process died, if the code of the task is known to be the cause; null: the cause is unknown. */
  message: string | null;
}

/**
 * Decides about a running task whose process died. If the cause is unknown, any of the tasks of the process may have
 * caused it. A task fails only if its process has died in several attempts in a row.
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
 * Decides about a running task whose process dies because of another task's code. The attempt does not count if the
 * task can run again: its kind is resumable, or the task has attempts left.
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

/** Decides about a task that waits past its deadline. */
export function expire(task: Deciding, { at }: DecisionContext): Transition {
  const isOver = task.status === "pending" && hasPassed(task.deadlineAt, at);
  return isOver ? failed(DEADLINE_PASSED) : { type: "unchanged" };
}

/** Decides about a waiting task whose params its kind rejects. */
export function refuse({ status }: Deciding, failure: TaskFailure): Transition {
  return status === "pending" ? failed(failure) : { type: "unchanged" };
}

function retryOrFail(task: Deciding, error: TaskFailure, { at, random }: DecisionContext, crashes = 0): Transition {
  if (!hasAttemptsLeft(task)) return failed(error);
  // The attempt failed before it received the cancel request. A retry would run a cancelled task.
  if (task.cancelRequestedAt !== null) return cancelled(task.cancelReason);
  const delayMs = retryDelayMs(task.retryPolicy, attemptsUsed(task), random);
  const nextAttemptAt = new Date(at.getTime() + delayMs);
  // A retry would start after the deadline. This failure says more than a deadline that passed while waiting.
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

function asked(reason: string, by: string | null): Transition {
  const event = newEvent("cancel_requested", { reason, ...(by !== null && { cancelled_by: by }) });
  return { type: "ask", reason, cancelledBy: by, event };
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
