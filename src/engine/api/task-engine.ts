import type { Activity, ActivityQuery } from "../../domain/activity.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { EventBodies, TapeEvent, TaskFailure } from "../../domain/event.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Cancel } from "../../domain/lifecycle.ts";
import type { VisibleTasks } from "../../domain/principal.ts";
import type { SessionState } from "../../domain/session.ts";
import type { EventView } from "../../domain/series.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task, TaskRequest, TaskStatus, TerminalStatus } from "../../domain/task.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { AttemptRef, Send, WorkerAppend, WorkerChecked, WorkerFinish, WorkerHello } from "./worker-protocol.ts";

/** A range of a tape. All fields come from one snapshot. */
export interface TapePage {
  taskId: string;
  status: TaskStatus;
  /** Events in order, without a gap. Event objects are never modified. */
  events: readonly TapeEvent[];
  /** The seq after the last event of the page. On a page without events, the requested fromSeq. */
  nextFromSeq: bigint;
  /** The seq of the last event on the tape; 0 on an empty tape. */
  lastSeq: bigint;
  /** Whether an event is stored at or after nextFromSeq. If false with a terminal status, the page ends the tape. */
  hasMore: boolean;
}

/** Selects a range of a tape. */
export interface PageQuery {
  taskId: string;
  /** The first seq, from 1. */
  fromSeq: bigint;
  /** The maximum number of events, 1 to PAGE_EVENTS_MAX. A page may be shorter, to stay within PAGE_BYTES_MAX. */
  limit: number;
}

export type Progress = EventBodies["progress"];

/** Selects the tasks that a stream follows, the position to start from, and the view. */
export interface FollowTasksQuery {
  /** Only tasks of these kinds. Empty: all kinds. */
  kinds: readonly string[];
  /** Only tasks with all of these labels. */
  labels: Readonly<Record<string, string>>;
  /** `events`: every event of each task. `tasks`: the current state of each task that has changed. */
  view: "events" | "tasks";
  /** null: fromStart decides. */
  cursor: FollowCursor | null;
  /** Whether the stream includes tasks and events that are already stored. */
  fromStart: boolean;
  heartbeatMs: number;
  /** How long changes are collected between two scans. */
  intervalMs: number;
}

/** The changes of one task. */
export interface FollowedTask {
  taskId: string;
  kind: string;
  /** The transaction that ended the task. See Place. */
  endedXid: bigint | null;
  /** The new events in order, without a gap. Empty in the `tasks` view. */
  events: readonly TapeEvent[];
  /** In the `tasks` view: the task, and its latest progress while it runs. null in the `events` view. */
  state: { task: TaskView; progress: Progress | null } | null;
}

/** The changes of some tasks. Each task occurs at most once. */
export interface FollowedPage {
  tasks: readonly FollowedTask[];
  /** The cursor after the whole page. cursorAfter returns the cursor after a part of the page. */
  cursor: FollowCursor;
  /** The page covers the changes that are visible in `target` and not in `seen`, in this generation of the namespace. */
  generation: number;
  seen: Snapshot;
  target: Snapshot;
}

/** A task as callers see it. */
export interface TaskView extends Task {
  /** Whether the task waits and no live process has its kind. Cached for up to 1 s. */
  awaitsWorker: boolean;
}

/** How a task ended. */
export interface TaskOutcome {
  taskId: string;
  status: TerminalStatus;
  /** null: the task ended before its first attempt. */
  startedAt: Date | null;
  finishedAt: Date;
  /** Only for a task that succeeded. */
  result?: JsonObject;
  /** Only for a task that failed or was cancelled. */
  error?: TaskFailure;
}

/** A connected worker. Takes the worker's messages in the order in which they arrive. */
export interface Worker {
  /** Resolves with the error that ends the stream, if the server ends the stream. */
  readonly over: Promise<SpoolError>;
  /** Records that the worker's stream is alive. */
  markAlive(): void;
  /** Resolves when there is room for more events. @throws StoreUnavailable */
  append(append: WorkerAppend): Promise<void>;
  /** @throws StoreUnavailable */
  finish(finish: WorkerFinish): Promise<void>;
  checked(checked: WorkerChecked): void;
  /** Notifies the worker that a message was refused. */
  refuse(ref: AttemptRef, error: SpoolError): void;
  /** Stops assigning tasks, as the worker asked. */
  stopAssigning(): Promise<void>;
  /** Called when the stream has ended. @param hasLeft whether the worker will not reconnect */
  close(options?: { hasLeft?: boolean }): Promise<void>;
}

/**
 * The engine's interface for the endpoints. Arguments are validated and complete. Every call may throw
 * StoreUnavailable, and a call with a signal throws the signal's reason when the signal fires. No call ties a task to
 * its caller: a caller that disconnects cancels nothing.
 */
export interface TaskEngine {
  /**
   * Stores a task. When the call resolves, the task is durable, and pending or already running.
   *
   * @param limits those of the caller's credential, always the same object; default: none
   * @throws KindUnknown (if unknown kinds are refused), InvalidArgument (params.*), RequestIdReused, LimitExceeded,
   *   StoreUnavailable, Overloaded, Draining
   */
  startTask(request: TaskRequest, limits?: Limits): Promise<{ task: TaskView; alreadyStarted: boolean }>;

  /**
   * Returns a task.
   *
   * @param only the task is found only if it matches this filter. Otherwise, the call takes the same statements as for a
   *   task that does not exist
   * @throws TaskNotFound, TaskExpired
   */
  getTask(taskId: string, only?: VisibleTasks): Promise<TaskView>;

  /**
   * Returns tasks, newest first, without their params.
   *
   * @param filter.limit 1 to LIST_TASKS_MAX
   * @param filter.beforeTaskId only tasks older than this task; null: from the newest on
   * @param filter.statuses only tasks in one of these statuses; empty: all
   * @param filter.kinds only tasks of one of these kinds; empty: all
   * @param filter.labels only tasks with all of these labels
   * @param filter.taskIdPrefix only tasks whose id starts with this prefix, in lower case; empty or left out: all
   * @param filter.withProgress whether to return the latest progress of the running tasks too, by task id
   */
  listTasks(filter: {
    limit: number;
    beforeTaskId: string | null;
    statuses: readonly TaskStatus[];
    kinds: readonly string[];
    labels: Readonly<Record<string, string>>;
    taskIdPrefix?: string;
    withProgress?: boolean;
  }): Promise<{ tasks: TaskView[]; progress: ReadonlyMap<string, Progress>; hasMore: boolean }>;

  /**
   * Counts the tasks that began and ended recently. Cached for 1 s, or for 10 times the query time if that is longer.
   *
   * @throws Overloaded
   */
  getActivity(query: ActivityQuery): Promise<Activity>;

  /**
   * Connects a worker that runs tasks over a stream. `send` receives the welcome and all later messages to the worker.
   *
   * @throws StoreUnavailable, Draining
   */
  connectWorker(hello: WorkerHello, send: Send): Promise<Worker>;

  /** Returns up to LIST_SESSIONS_MAX sessions of the namespace, oldest first. */
  listSessions(): Promise<{ sessions: SessionState[]; hasMore: boolean }>;

  /**
   * Cancels a task. Idempotent.
   *
   * @returns the task after the cancel. `cancelled`: the task was pending, and has ended; `requested`: the task runs,
   *   and its code is notified; `already_terminal`: the task had already ended, and nothing has changed
   * @throws TaskNotFound, TaskExpired
   */
  cancelTask(
    taskId: string,
    cancel: Cancel,
  ): Promise<{ task: TaskView; outcome: "cancelled" | "requested" | "already_terminal" }>;

  /**
   * Removes a task that has ended, with its tape. When the call resolves, no call at any server finds the task. For
   * REMOVED_MS, such calls throw TaskExpired, and another call of this method changes nothing.
   *
   * @param by the name of the principal that calls; null: the server does not authenticate calls
   * @throws TaskNotFound, TaskNotTerminal
   */
  deleteTask(taskId: string, by: string | null): Promise<{ alreadyDeleted: boolean }>;

  /**
   * Returns one page of a tape. Waits up to waitMs if there is no event at fromSeq and the task has not ended.
   *
   * @param query.view `folded`: the page has at most `limit` events of the folded view. Default: `recorded`
   * @throws TaskNotFound, TaskExpired, or the signal's reason
   */
  readEvents(query: PageQuery & { waitMs: number; view?: EventView }, signal: AbortSignal): Promise<TapePage>;

  /**
   * Yields a tape from a position on: the stored events, then new events as they are committed. Yields the first page
   * at once, even if the page is empty. Yields an empty page after heartbeatMs without an event. Ends after `final`, or
   * at once if fromSeq is past the end of a finished tape.
   *
   * @param query.knownSeq a last_seq that was read after the call began; left out: the first page is compared with the
   *   store
   * @param query.view `folded`: pages have the events of the folded view. Default: `recorded`
   * @throws TaskNotFound, TaskExpired (also after pages, if the task is removed), SeqOutOfRange for a position past
   *   last_seq + 1 of a task that has not ended, or the signal's reason
   */
  followTape(
    query: { taskId: string; fromSeq: bigint; heartbeatMs: number; knownSeq?: bigint; view?: EventView },
    signal: AbortSignal,
  ): AsyncIterable<TapePage>;

  /**
   * Yields the changes of many tasks in pages, including tasks that start later. A follower can resume after any page.
   * Each event occurs once, in its task's order. Yields an empty first page at once, and an empty page after
   * heartbeatMs without changes. Never ends by itself.
   *
   * @throws InvalidArgument (cursor), or the signal's reason
   */
  followTasks(query: FollowTasksQuery, signal: AbortSignal): AsyncIterable<FollowedPage>;

  /**
   * Returns the outcome of a task. Waits up to waitMs for its end.
   *
   * @throws TaskNotFound, TaskExpired, TaskNotTerminal, or the signal's reason
   */
  waitForResult(query: { taskId: string; waitMs: number }, signal: AbortSignal): Promise<TaskOutcome>;
}
