import type { JsonObject } from "./json.ts";
import type { AskedRetry, RetryPolicy } from "./retry.ts";

export const TASK_STATUSES = ["pending", "running", "succeeded", "failed", "cancelled"] as const;

/** The state of a task. A task starts as pending or running, and ends in exactly one of the last three. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

export type TerminalStatus = Exclude<TaskStatus, "pending" | "running">;

export function isTerminal(status: TaskStatus): status is TerminalStatus {
  return status !== "pending" && status !== "running";
}

/** A validated request to start a task. */
export interface TaskRequest extends AskedRetry {
  kind: string;
  params: JsonObject;
  /** Makes the start safe to retry, within the namespace. */
  requestId: string | null;
  labels: Readonly<Record<string, string>>;
  /** Timeout of each attempt in ms; null: none. */
  timeoutMs: number | null;
  /** Earliest start; null: now. */
  runAt: Date | null;
  /** Time at which an unfinished task fails, also while it runs; null: none. */
  deadlineAt: Date | null;
  /** How long the task is kept after its end, in ms; null: as the settings of the servers say. */
  retentionMs: number | null;
  /** The W3C traceparent of the start, to which its attempts are linked; null: none. */
  traceparent: string | null;
  /** The name of the principal that starts the task; null: the server does not authenticate calls. */
  startedBy: string | null;
}

/** A task as callers see it. */
export interface TaskView {
  /** A UUID, version 7: ids sort by creation. */
  taskId: string;
  kind: string;
  status: TaskStatus;
  /** As given at the start; null in lists. */
  params: JsonObject | null;
  /** SHA-256 of the params as canonical JSON, 64 hex digits. */
  paramsDigest: string;
  labels: Readonly<Record<string, string>>;
  requestId: string | null;
  createdAt: Date;
  /** null while pending, and on a task that ended before its first attempt. */
  startedAt: Date | null;
  /** Set exactly when the status is terminal. */
  finishedAt: Date | null;
  /** The task does not run before this time: its requested start, or its next attempt. null: neither. */
  runAt: Date | null;
  /** Time at which an unfinished task fails, also while it runs; null: none. */
  deadlineAt: Date | null;
  /**
   * Time at which the running attempt is ended, by its timeout or by the task's deadline; null: none, or no attempt
   * runs.
   */
  attemptDeadlineAt: Date | null;
  /** Timeout of each attempt in ms; null: none. */
  timeoutMs: number | null;
  /** How long the task is kept after its end, in ms, as given at the start; null: as the settings of the servers say. */
  retentionMs: number | null;
  /** The number of the current or last attempt, from 1; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  /** How many attempts were handed over by a process that stopped. They do not count against maxAttempts. */
  handovers: number;
  /** How long the task waits between attempts. */
  retryPolicy: Readonly<RetryPolicy>;
  cancelRequestedAt: Date | null;
  /** The name of the principal that started the task; null: unknown, because the call was not authenticated. */
  startedBy: string | null;
  /** The name of the principal that cancelled the task first; null: none, or the call was not authenticated. */
  cancelledBy: string | null;
  /** The task waits because no live process has its kind. It runs when such a process connects. */
  awaitsWorker: boolean;
  /** The seq of the last event on the tape; 0n on an empty tape. */
  lastSeq: bigint;
}

/** A stored task. The tape is the source of truth, and this is its index. */
export interface Task extends Omit<TaskView, "awaitsWorker"> {
  /** Of the tasks in a namespace with the same key, one runs at a time; null: no restriction. */
  exclusiveKey: string | null;
  /** How many attempts in a row ended because their process died. An attempt that ends otherwise resets it to 0. */
  crashes: number;
  /** The last checkpoint on the tape, for the next attempt; null: there is none. */
  checkpointSeq: bigint | null;
  /** The reason of the first cancel. */
  cancelReason: string | null;
  /** The session that owns the task; set exactly while it runs. */
  lease: string | null;
  /** The W3C traceparent of its start; null: none. */
  traceparent: string | null;
}

/** The position of a task after a commit. A follower with an older position has something to read. */
export interface TaskState {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
}

/** What other processes learn of a commit: the new position of a task, or that the task was removed. */
export interface StateChange extends Omit<TaskState, "status"> {
  status: TaskStatus | "removed";
}

/** Returns a key that identifies an attempt. */
export function attemptKey({ taskId, attempt }: { taskId: string; attempt: number }): string {
  return `${taskId} ${attempt}`;
}

/**
 * The fence of an attempt. The journal's statement compares it in its WHERE clause. The control path compares it with the
 * stored task under the lock of the task's row.
 */
export interface Fence {
  taskId: string;
  /** The id of the session that owns the attempt. */
  lease: string;
  attempt: number;
}
