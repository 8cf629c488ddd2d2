import type { JsonObject } from "./json.ts";
import type { AskedRetry, RetryPolicy } from "./retry.ts";

export const TASK_STATUSES = ["pending", "running", "succeeded", "failed", "cancelled"] as const;

/** Where a task stands. It is born pending or running, and ends in exactly one of the last three. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

export type TerminalStatus = Exclude<TaskStatus, "pending" | "running">;

export function isTerminal(status: TaskStatus): status is TerminalStatus {
  return status !== "pending" && status !== "running";
}

/** What a caller asks for, checked. */
export interface TaskRequest extends AskedRetry {
  kind: string;
  params: JsonObject;
  /** Makes the start safe to retry, within the namespace. */
  requestId: string | null;
  labels: Readonly<Record<string, string>>;
  /** How long one attempt may run; null: without end. */
  timeoutMs: number | null;
  /** Not to be run before; null: at once. */
  runAt: Date | null;
  /** When the task as a whole is ended, however far it has come; null: never. */
  deadlineAt: Date | null;
  /** The trace that the start belongs to, as W3C writes it: its attempts are linked to it; null: none. */
  traceparent: string | null;
}

/** What a caller is shown of a task. */
export interface TaskView {
  /** A UUID, version 7: ids sort by creation. */
  taskId: string;
  kind: string;
  status: TaskStatus;
  /** As given at the start; null in lists, which leave it out. */
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
  /** The task does not run before this time: as the start said, or when the next attempt is due; null: neither. */
  runAt: Date | null;
  /** When the task as a whole is ended, however far it has come; null: never. */
  deadlineAt: Date | null;
  /** When the running attempt is ended, by its timeout or with the task; null: no such end, or no attempt runs. */
  attemptDeadlineAt: Date | null;
  /** How long one attempt may run, in ms; null: without end. */
  timeoutMs: number | null;
  /** The attempt that runs or ran last, from 1; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  /** How many attempts were handed over by a process that stopped: they do not count against maxAttempts. */
  handovers: number;
  /** How long the task waits between attempts. */
  retryPolicy: Readonly<RetryPolicy>;
  cancelRequestedAt: Date | null;
  /** The task waits because no live process has its kind: it runs when a process with the kind connects. */
  awaitsWorker: boolean;
  /** The seq of the last event on the tape; 0n on an empty tape. */
  lastSeq: bigint;
}

/** A task as it is stored. The tape is the truth; this is its index. */
export interface Task extends Omit<TaskView, "awaitsWorker"> {
  /** Of the tasks of a namespace with the same key one runs at a time; null: no such rule. */
  exclusiveKey: string | null;
  /** How many attempts in a row have ended because their process died: 0 after one that ended otherwise. */
  crashes: number;
  /** The last checkpoint on the tape, for the next attempt; null: there is none. */
  checkpointSeq: bigint | null;
  /** What the first cancel gave as its reason. */
  cancelReason: string | null;
  /** The session that owns it; set exactly while it runs. */
  lease: string | null;
  /** The trace of its start, as W3C writes it; null: it has none. */
  traceparent: string | null;
}

/** The position of a task after a commit. A follower with an older position has something to read. */
export interface TaskState {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
}

/** What tells an attempt from all others. */
export function attemptKey({ taskId, attempt }: { taskId: string; attempt: number }): string {
  return `${taskId} ${attempt}`;
}

/** One attempt's right to write: every writing statement carries it in its WHERE. */
export interface Fence {
  taskId: string;
  /** The session that owns the attempt. */
  lease: string;
  attempt: number;
}
