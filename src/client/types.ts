import type { LogLevel, TaskFailure } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import type { TaskStatus, TerminalStatus } from "../domain/task.ts";

export type { Activity, ActivityStep, Durations, EndedTasks, KindActivity } from "../domain/activity.ts";
export type { SessionState as Session } from "../domain/session.ts";

/** A task, as the server answered it. */
export interface Task {
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
  /** null while pending, and on a task that ended before it ever ran. */
  startedAt: Date | null;
  /** Set exactly when the status is terminal. */
  finishedAt: Date | null;
  /** Not run before: as the start said, or when the next attempt is due; null where neither is. */
  runAt: Date | null;
  /** When the task as a whole is ended, however far it has come; null: never. */
  deadlineAt: Date | null;
  /** When the attempt now running is ended, by its timeout or with the task; null where neither is, or none runs. */
  attemptDeadlineAt: Date | null;
  /** How long one attempt may run; null: without end. */
  timeoutMs: number | null;
  /** The attempt that runs or ran last, from 1; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  /** How many attempts were handed on by a server that stopped: they do not count against maxAttempts. */
  handovers: number;
  /** How long it waits between attempts. */
  retryPolicy: Readonly<RetryPolicy>;
  cancelRequestedAt: Date | null;
  /** It waits, and no process that lives has its kind: it is run when one comes that has. */
  awaitsWorker: boolean;
  /** The seq of the last event on its tape; 0n on an empty tape. */
  lastSeq: bigint;
}

interface Recorded {
  /** Its position on the tape: 1n, 2n, 3n, … without gap or repeat. */
  seq: bigint;
  /** When it was recorded. The seq orders events; the time does not. */
  time: Date;
}

/** An attempt began. */
export interface StartedEvent extends Recorded {
  type: "started";
  kind: string;
  /** From 1. */
  attempt: number;
}

/** How far a phase has come. */
export interface Progress {
  phase: string;
  current: number;
  /** 0 where it is not known. */
  total: number;
  detail?: JsonObject;
}

export interface ProgressEvent extends Recorded, Progress {
  type: "progress";
}

/** A line for people. */
export interface LogEvent extends Recorded {
  type: "log";
  level: LogLevel;
  message: string;
}

/** A piece of the outcome before the end. */
export interface PartialEvent extends Recorded {
  type: "partial";
  kind: string;
  payload: JsonObject;
}

/** Somebody asked to cancel the running task. */
export interface CancelRequestedEvent extends Recorded {
  type: "cancel_requested";
  /** May be empty. */
  reason: string;
}

/** The attempt failed, and there will be another. */
export interface RetryingEvent extends Recorded {
  type: "retrying";
  error: TaskFailure;
  nextAttemptAt: Date;
}

/** The end: exactly one a task, always its last event. */
export interface FinalEvent extends Recorded {
  type: "final";
  status: TerminalStatus;
  /** Of a task that succeeded. */
  result?: JsonObject;
  /** Of a task that failed or was cancelled. */
  error?: TaskFailure;
}

/** An event of a type that this client does not know yet. It has its place on the tape; ignore it. */
export interface UnknownEvent extends Recorded {
  type: "unknown";
}

/** An event on a tape; its `type` says which. */
export type SpoolEvent =
  | StartedEvent
  | ProgressEvent
  | LogEvent
  | PartialEvent
  | CancelRequestedEvent
  | RetryingEvent
  | FinalEvent
  | UnknownEvent;

/** What a follower is sent at once: events, or none in a heartbeat and in the first frame of a tape without any. */
export interface Frame {
  events: readonly SpoolEvent[];
  /** The seq of the last event on the tape when the frame was made. */
  lastSeq: bigint;
  /** The task's status in the same snapshot. */
  status: TaskStatus;
}

/** One page of a tape, of one snapshot. */
export interface EventPage extends Frame {
  taskId: string;
  /** The seq after the last event of the page; without one, the seq that was asked for. */
  nextFromSeq: bigint;
  /** Whether there is a stored event at or past nextFromSeq. */
  hasMore: boolean;
}

/** What to start. */
export interface StartRequest {
  /** What code runs it. */
  kind: string;
  /** At most 1 MiB as JSON. Left out: `{}`. */
  params?: JsonObject | undefined;
  /** The same id with the same content gives the same task. Left out: a new one, which the client's own retries use. */
  requestId?: string | undefined;
  /** For finding tasks by. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** How long one attempt may run, 1 ms to 30 days. Left out: without end. */
  timeoutMs?: number | undefined;
  /** 1 to 100. Left out: as the kind says, else 1. */
  maxAttempts?: number | undefined;
  /**
   * How long to wait between attempts: backoffs of 1 ms to 30 days, a multiplier of 1 to 100, a jitter of 0 to 1. What
   * is left out is as the kind says, else 1 s after the first failure, doubled with each, 5 min at the most, jitter 0.2.
   */
  retryPolicy?: RetryPolicyRequest | undefined;
  /** Not to be run before, at most 366 days ahead. */
  runAt?: Date | undefined;
  /**
   * When the task is ended with DEADLINE_EXCEEDED, however far it has come: later than runAt, at most 732 days ahead.
   * Left out: never.
   */
  deadlineAt?: Date | undefined;
}

/** Any part of a retry policy. */
export type RetryPolicyRequest = { readonly [Setting in keyof RetryPolicy]?: RetryPolicy[Setting] | undefined };

/** A task that was started, now or by the same request before. */
export interface StartedTask {
  task: Task;
  /** Whether the request id had started this task before. */
  alreadyStarted: boolean;
}

/** What a cancel did: ended a pending task, told a running one, or found it ended. */
export type CancelOutcome = "cancelled" | "requested" | "already_terminal";

export interface CancelledTask {
  /** As it is after the cancel. */
  task: Task;
  outcome: CancelOutcome;
}

/** The outcome of a task that has ended. */
export interface TaskResult {
  taskId: string;
  status: TerminalStatus;
  /** null on a task that ended before it ever ran. */
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Of a task that succeeded. */
  result?: JsonObject;
  /** Of a task that failed or was cancelled. */
  error?: TaskFailure;
}

/** Which tasks to list. */
export interface TaskFilter {
  /** Only tasks in one of these. Empty: all. */
  statuses?: readonly TaskStatus[] | undefined;
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
  /** Only tasks that carry all of these. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Only tasks whose id begins with this: 8 to 36 characters of a UUID as it is written. Left out: all. */
  taskIdPrefix?: string | undefined;
  /** 1 to 1,000. Left out: 100. */
  pageSize?: number | undefined;
}

export interface TaskPage {
  /** Newest first, without their params. */
  tasks: readonly Task[];
  /** Empty: there are no more. */
  nextPageToken: string;
}

/** Which tasks are followed by one stream, from where on, and what of them is told. */
export interface TasksToFollow {
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
  /** Only tasks that carry all of these. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The `cursor` of the last frame that was dealt with, of a stream with the same filter and view. */
  cursor?: string | undefined;
  /** Without a cursor: whether to begin with what is stored already; else it begins now. Default false. */
  fromStart?: boolean | undefined;
  /** `events`: every event of each; `tasks`: each as it stands, whenever it has changed. Default `events`. */
  view?: "events" | "tasks" | undefined;
  /** How long changes are gathered before the next frame, 0 to 60 s, in ms. Default 0 for events, 500 for tasks. */
  intervalMs?: number | undefined;
}

/** What is new of one task among many. */
export interface FollowedTask {
  taskId: string;
  kind: string;
  /** View `events`: in order, each once over all frames. */
  events: readonly SpoolEvent[];
  /** View `tasks`: as it stands, without its params; null in that of events. */
  task: Task | null;
  /** View `tasks`: the latest progress of a running task, null where it has none near the end of its tape. */
  progress: Progress | null;
}

/** What a follower of many tasks is sent at once: news of some, each at most once, or of none in a heartbeat. */
export interface TasksFrame {
  tasks: readonly FollowedTask[];
  /** What to come back with, once the frame has been dealt with. */
  cursor: string;
}

/** Which stretch of time to count what began and ended in, and of which tasks. */
export interface ActivityRequest {
  /** How far back: 1 min to 24 h. Left out: 1 h. */
  windowMs?: number | undefined;
  /** The width of a step: 1 s or more, and at most 1,000 of them in the window. Left out: a 120th of the window, or 1 s. */
  stepMs?: number | undefined;
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
}
