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

/** A task as it is stored. The tape is the truth; this is its index. */
export interface Task {
  /** UUIDv7, so that ids sort by creation. */
  taskId: string;
  kind: string;
  status: TaskStatus;
  /** null where the reader did not ask for them (lists). */
  params: JsonObject | null;
  /** SHA-256 over the canonical JSON of the params, in hex. */
  paramsDigest: string;
  labels: Readonly<Record<string, string>>;
  requestId: string | null;
  /** Of the tasks of a namespace with the same key one runs at a time; null: no such rule. */
  exclusiveKey: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Not run before: as the start said, or when the next attempt is due. */
  runAt: Date | null;
  /** When the task as a whole is ended. */
  deadlineAt: Date | null;
  /** When the attempt that runs is ended: by its timeout or with the task. */
  attemptDeadlineAt: Date | null;
  timeoutMs: number | null;
  attempt: number;
  maxAttempts: number;
  /** How many attempts were handed on by a process that stopped: they do not count against maxAttempts. */
  handovers: number;
  /** How many attempts in a row have ended because their process died: 0 after one that ended otherwise. */
  crashes: number;
  retryPolicy: Readonly<RetryPolicy>;
  /** The last checkpoint on the tape, for the next attempt; null: there is none. */
  checkpointSeq: bigint | null;
  cancelRequestedAt: Date | null;
  /** What the first cancel gave as its reason. */
  cancelReason: string | null;
  /** The session that owns it; set exactly while it runs. */
  lease: string | null;
  lastSeq: bigint;
  /** The trace of its start, as W3C writes it; null: it has none. */
  traceparent: string | null;
}

/** Where a task stands after a commit: whoever knows less has something to read. */
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
