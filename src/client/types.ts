import type { RetryPolicyParts } from "../codec/retry-policy.ts";
import type { JsonObject } from "../domain/json.ts";
import type { TaskStatus, TaskView } from "../domain/task.ts";

export type { RetryPolicyParts as RetryPolicyRequest } from "../codec/retry-policy.ts";
export type { CancelledTask, CancelOutcome } from "../codec/cancel.ts";
export type * from "../codec/event-types.ts";
export type { FollowedTask, TasksFrame } from "../codec/followed-tasks.ts";
export type { EventPage, Frame } from "../codec/tape-page.ts";
export type { TaskResult } from "../codec/task-result.ts";
export type { Activity, ActivityStep, Durations, EndedTasks, KindActivity } from "../domain/activity.ts";
export type { SessionState as Session } from "../domain/session.ts";

/** A task, as the server answered it. */
export type Task = TaskView;

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
  retryPolicy?: RetryPolicyParts | undefined;
  /** Not to be run before, at most 366 days ahead. */
  runAt?: Date | undefined;
  /**
   * When the task is ended with DEADLINE_EXCEEDED, however far it has come: later than runAt, at most 732 days ahead.
   * Left out: never.
   */
  deadlineAt?: Date | undefined;
}

/** A task that was started, now or by the same request before. */
export interface StartedTask {
  task: Task;
  /** Whether the request id had started this task before. */
  alreadyStarted: boolean;
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

/** Which stretch of time to count what began and ended in, and of which tasks. */
export interface ActivityRequest {
  /** How far back: 1 min to 24 h. Left out: 1 h. */
  windowMs?: number | undefined;
  /** The width of a step: 1 s or more, and at most 1,000 of them in the window. Left out: a 120th of the window, or 1 s. */
  stepMs?: number | undefined;
  /** Only tasks of one of these kinds, at most 100. Empty: all. */
  kinds?: readonly string[] | undefined;
}
