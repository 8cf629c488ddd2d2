import type { Activity, ActivityQuery } from "../../domain/activity.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { EventBodies, TapeEvent, TaskFailure } from "../../domain/event.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { SessionState } from "../../domain/session.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task, TaskRequest, TaskStatus, TerminalStatus } from "../../domain/task.ts";
import type { AttemptRef, Send, WorkerAppend, WorkerChecked, WorkerFinish, WorkerHello } from "./worker-protocol.ts";

/** A stretch of a tape. Everything in it is of one snapshot. */
export interface TapePage {
  taskId: string;
  status: TaskStatus;
  /** In order, without a gap. Each object stands for one event for good: nobody changes it. */
  events: readonly TapeEvent[];
  /** The seq after the last event given; with no event, the fromSeq that was asked for. */
  nextFromSeq: bigint;
  /** The seq of the last event on the tape; 0 on an empty tape. */
  lastSeq: bigint;
  /** Whether there is a stored event at or past nextFromSeq. With a terminal status: false means the end. */
  hasMore: boolean;
}

/** Which stretch of a tape is wanted. */
export interface PageQuery {
  taskId: string;
  /** The first seq, from 1. */
  fromSeq: bigint;
  /** How many events at the most, 1 to PAGE_EVENTS_MAX; a page may be shorter, to stay within PAGE_BYTES_MAX. */
  limit: number;
}

export type Progress = EventBodies["progress"];

/** Which tasks are followed by one stream, from where on, and what of them is told. */
export interface FollowTasksQuery {
  /** Empty: all. */
  kinds: readonly string[];
  /** Only tasks that carry all of these. */
  labels: Readonly<Record<string, string>>;
  /** `events`: every event of each; `tasks`: each as it stands, whenever it has changed. */
  view: "events" | "tasks";
  /** null: as fromStart says. */
  cursor: FollowCursor | null;
  /** Whether what is stored already is given too. */
  fromStart: boolean;
  heartbeatMs: number;
  /** How long changes are gathered before they are looked for again. */
  intervalMs: number;
}

/** What is new of one task among many. */
export interface FollowedTask {
  taskId: string;
  kind: string;
  /** See Place. */
  endedXid: bigint | null;
  /** In order, without a gap; none in the view of tasks. */
  events: readonly TapeEvent[];
  /** In the view of tasks: how it stands, and its latest progress while it runs; null in that of events. */
  state: { task: TaskView; progress: Progress | null } | null;
}

/** What is new of some tasks, each at most once. */
export interface FollowedPage {
  tasks: readonly FollowedTask[];
  /** Where the follower stands who has dealt with all of it; cursorAfter says it of a part. */
  cursor: FollowCursor;
  /** What the page is of: the difference of these two. */
  seen: Snapshot;
  target: Snapshot;
}

/** A task as callers see it. */
export interface TaskView extends Task {
  /** It waits, and no process that lives has its kind: as of a second ago or less. */
  awaitsWorker: boolean;
}

/** How a task ended. */
export interface TaskOutcome {
  taskId: string;
  status: TerminalStatus;
  /** null on a task that ended before it ever ran. */
  startedAt: Date | null;
  finishedAt: Date;
  /** Of a task that succeeded. */
  result?: JsonObject;
  /** Of a task that failed or was cancelled. */
  error?: TaskFailure;
}

/** A worker that is connected: what it says goes in here, in the order in which it has come. */
export interface Worker {
  /** Resolves with why its stream is to end, where that is not the worker's doing. */
  readonly over: Promise<SpoolError>;
  /** It has shown that its stream lives. */
  heard(): void;
  /** @returns when there is room for more @throws StoreUnavailable */
  append(append: WorkerAppend): Promise<void>;
  /** @throws StoreUnavailable */
  finish(finish: WorkerFinish): Promise<void>;
  checked(checked: WorkerChecked): void;
  /** Says that a message was not taken. */
  refuse(ref: AttemptRef, error: SpoolError): void;
  /** It wants no more tasks. */
  stopAssigning(): Promise<void>;
  /** Its stream has ended. @param hasLeft it will not come back */
  close(options?: { hasLeft?: boolean }): Promise<void>;
}

/**
 * What the endpoints call. Arguments are checked and complete. Every call may throw StoreUnavailable, and those that take
 * a signal throw its reason when it fires. None of them ties a task to its caller: one who leaves cancels nothing.
 */
export interface TaskEngine {
  /**
   * Stores a task. It is durable when this resolves, and pending or already running.
   *
   * @throws KindUnknown (unless kinds that nobody has wait), InvalidArgument (params.*), RequestIdReused, StoreUnavailable, Overloaded, Draining
   */
  startTask(request: TaskRequest): Promise<{ task: TaskView; alreadyStarted: boolean }>;

  /** @throws TaskNotFound */
  getTask(taskId: string): Promise<TaskView>;

  /**
   * Gives tasks, newest first, without their params.
   *
   * @param filter.limit 1 to LIST_TASKS_MAX
   * @param filter.beforeTaskId only tasks older than this one; null: from the newest
   * @param filter.statuses only tasks in one of these; empty: all
   * @param filter.kinds only tasks of one of these kinds; empty: all
   * @param filter.labels only tasks that carry all of these
   * @param filter.taskIdPrefix only tasks whose id begins so, in lower case; empty, or left out: all
   * @param filter.withProgress whether to give the latest progress of the running ones too, by their ids
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
   * Counts what began and ended of late: as of a second ago or less, or ten times as long ago as it takes to count.
   *
   * @throws Overloaded
   */
  getActivity(query: ActivityQuery): Promise<Activity>;

  /**
   * Lets a worker run tasks, by a stream. It is welcomed, and told the rest, by `send`.
   *
   * @throws StoreUnavailable, Draining
   */
  connectWorker(hello: WorkerHello, send: Send): Promise<Worker>;

  /** The sessions of the namespace, those that began first, first: up to LIST_SESSIONS_MAX. */
  listSessions(): Promise<{ sessions: SessionState[]; hasMore: boolean }>;

  /**
   * Asks a task to end. Idempotent.
   *
   * @returns the task as it is after the cancel. `cancelled`: it was pending and has ended; `requested`: it runs and
   *   has been told; `already_terminal`: it had ended before and nothing was changed
   * @throws TaskNotFound
   */
  cancelTask(
    taskId: string,
    reason: string,
  ): Promise<{ task: TaskView; outcome: "cancelled" | "requested" | "already_terminal" }>;

  /**
   * Gives one page of a tape, waiting up to waitMs where there is no event at fromSeq and the task has not ended.
   *
   * @throws TaskNotFound, or the signal's reason
   */
  readEvents(query: PageQuery & { waitMs: number }, signal: AbortSignal): Promise<TapePage>;

  /**
   * Gives a tape from a position on, then live. The first page comes at once, even with no event; after heartbeatMs
   * without an event comes an empty page. Ends after `final`, and at once when fromSeq is past the end of a finished
   * tape.
   *
   * @param query.knownSeq a last_seq that was read after the call began; left out: the first page is held against the
   *   store
   * @throws TaskNotFound, SeqOutOfRange for a position past last_seq + 1 of a task that has not ended, or the signal's
   *   reason
   */
  followTape(
    query: { taskId: string; fromSeq: bigint; heartbeatMs: number; knownSeq?: bigint },
    signal: AbortSignal,
  ): AsyncIterable<TapePage>;

  /**
   * Gives what is new of many tasks, those that start later too, in pages, each of which can be come back after. Each
   * event comes once and in its task's order. The first page comes at once, empty; after heartbeatMs without news
   * comes another empty one. Never ends by itself.
   *
   * @throws InvalidArgument (cursor), or the signal's reason
   */
  followTasks(query: FollowTasksQuery, signal: AbortSignal): AsyncIterable<FollowedPage>;

  /**
   * Gives the outcome of a task, waiting up to waitMs for its end.
   *
   * @throws TaskNotFound, TaskNotTerminal, or the signal's reason
   */
  waitForResult(query: { taskId: string; waitMs: number }, signal: AbortSignal): Promise<TaskOutcome>;
}
