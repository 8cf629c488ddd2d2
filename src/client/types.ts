import type { RetryPolicyParts } from "../codec/retry-policy.ts";
import type { JsonObject } from "../domain/json.ts";
import type { TaskTokenScope } from "../domain/task-token.ts";
import type { TaskStatus, TaskView } from "../domain/task.ts";

export type { RetryPolicyParts as RetryPolicyRequest } from "../codec/retry-policy.ts";
export type { CancelledTask, CancelOutcome } from "../codec/cancel.ts";
export type * from "../codec/event-types.ts";
export type { FollowedTask, TasksFrame } from "../codec/followed-tasks.ts";
export type { EventPage, Frame } from "../codec/tape-page.ts";
export type { TaskResult } from "../codec/task-result.ts";
export type { Activity, ActivityStep, Durations, EndedTasks, KindActivity } from "../domain/activity.ts";
export type { TaskTokenScope } from "../domain/task-token.ts";
export type { SessionState as Session } from "../domain/session.ts";

/** A task, as returned by the server. */
export type Task = TaskView;

/** The task to start. */
export interface StartRequest {
  /** The name of the kind that runs it. */
  kind: string;
  /** At most 1 MiB as JSON. Default: `{}`. */
  params?: JsonObject | undefined;
  /**
   * Idempotency key: repeating a start with the same id and content returns the same task. Default: a random id, which
   * the client reuses for its own retries.
   */
  requestId?: string | undefined;
  /** Labels by which lists and followers select tasks. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Timeout of each attempt, 1 ms to 30 days. Default: none. */
  timeoutMs?: number | undefined;
  /** 1 to 100. Default: set by the kind, else 1. */
  maxAttempts?: number | undefined;
  /**
   * Wait between attempts: backoffs of 1 ms to 30 days, a multiplier of 1 to 100, a jitter of 0 to 1. The kind provides
   * missing parts. If it has none: 1 s after the first failure, doubled with each failure, at most 5 min, jitter 0.2.
   */
  retryPolicy?: RetryPolicyParts | undefined;
  /** Earliest start, at most 366 days ahead. Default: now. */
  runAt?: Date | undefined;
  /**
   * Time at which an unfinished task fails with DEADLINE_EXCEEDED, also while it runs. Later than `runAt`, at most 732
   * days ahead. Default: none.
   */
  deadlineAt?: Date | undefined;
  /**
   * How long the task is kept after its end, whatever the server's settings say: 1 s to 36,500 days. After that, the task
   * is removed with its tape. Default: set by the server, 30 days if nothing is set.
   */
  retentionMs?: number | undefined;
}

/** A started task. */
export interface StartedTask {
  task: Task;
  /** Whether an earlier call with the same request id started this task. */
  alreadyStarted: boolean;
}

/** Which token to make for one task. */
export interface TaskTokenRequest {
  taskId: string;
  /** `tasks:read`, `tasks:cancel` or both, of those that the caller has. Default: `tasks:read`. */
  scopes?: readonly TaskTokenScope[] | undefined;
  /** How long the token is valid, in ms: 1 s to 7 days. Default 1 h. */
  ttlMs?: number | undefined;
}

/** A token for one task. */
export interface TaskToken {
  /** Secret: it gives its rights to its bearer. */
  token: string;
  /** Earlier than asked for if the credential of the caller expires earlier. */
  expiresAt: Date;
}

/** What a delete did. */
export interface DeletedTask {
  /** Whether the task had been removed before. If so, the call changed nothing. */
  alreadyDeleted: boolean;
}

/** The filter and page size of a task list. */
export interface TaskFilter {
  /** Only tasks with one of these statuses. Empty: all. */
  statuses?: readonly TaskStatus[] | undefined;
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
  /** Only tasks with all of these labels. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Only tasks whose id starts with this: the first 8 to 36 characters of the UUID. Default: all. */
  taskIdPrefix?: string | undefined;
  /** 1 to 1,000. Default: 100. */
  pageSize?: number | undefined;
}

export interface TaskPage {
  /** Newest first. Their params are null. */
  tasks: readonly Task[];
  /** Empty on the last page. */
  nextPageToken: string;
}

/** Which tasks to follow over one stream, from where, and what to receive. */
export interface TasksToFollow {
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
  /** Only tasks with all of these labels. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** The `cursor` of the last processed frame, from a stream with the same filter and view. */
  cursor?: string | undefined;
  /**
   * Without a cursor: whether to start with the stored events. Otherwise the stream starts with new ones. Default
   * false.
   */
  fromStart?: boolean | undefined;
  /** `events`: every event of each task. `tasks`: the state of each task whenever it changes. Default `events`. */
  view?: "events" | "tasks" | undefined;
  /**
   * How long the server collects changes before it sends a frame, in ms, 0 to 60 s. Default 0 for events, 500 for
   * tasks.
   */
  intervalMs?: number | undefined;
}

/** The time range and the tasks of an activity report. */
export interface ActivityRequest {
  /** How far back, in ms: 1 min to 24 h. Default 1 h. */
  windowMs?: number | undefined;
  /**
   * Width of a step in ms: at least 1 s, and at most 1,000 steps in the window. Default: a 120th of the window, at
   * least 1 s.
   */
  stepMs?: number | undefined;
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
}
