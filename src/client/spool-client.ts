import type { EventView } from "../domain/series.ts";
import type { ReconnectNotice } from "./follow/follow.ts";
import type { TasksReconnectNotice } from "./follow/follow-tasks.ts";
import type {
  Activity,
  ActivityRequest,
  CancelledTask,
  DeletedTask,
  EventPage,
  FinalEvent,
  Frame,
  Session,
  SpoolEvent,
  StartedTask,
  StartRequest,
  Task,
  TaskFilter,
  TaskPage,
  TaskResult,
  TasksFrame,
  TasksToFollow,
  TaskToken,
  TaskTokenRequest,
} from "./types.ts";

export interface CallerOptions {
  /** How long a call or a follower retries without success, in ms. 0: no retry. Infinity: no limit. Default 60 s. */
  retryMs?: number | undefined;
  /** How often the server sends a heartbeat on an idle stream, in ms, from 1 s to 60 s. Default 15 s. */
  heartbeatMs?: number | undefined;
}

export interface CallOptions {
  /** Ends the call, never the task. The call throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface FollowOptions extends CallOptions {
  /** How long to retry without progress, in ms. Infinity: no limit. Default: `retryMs` of the client. */
  retryMs?: number | undefined;
  /** Called when the connection is lost, after each failed retry, and when the stream resumes. */
  onReconnect?: ((notice: ReconnectNotice) => void) | undefined;
}

/** A tape, the position to start from, and the view. */
export interface TapeToFollow {
  taskId: string;
  /** The first seq, inclusive. Default 1n. */
  fromSeq?: bigint | undefined;
  /** `folded`: consecutive partials of series come as one event `folded`. Default `recorded`. */
  view?: EventView | undefined;
}

export interface RunOptions extends FollowOptions {
  /** As in TapeToFollow. */
  view?: EventView | undefined;
}

export interface FollowTasksOptions extends CallOptions {
  /** How long to retry without progress, in ms. Infinity: no limit. Default: `retryMs` of the client. */
  retryMs?: number | undefined;
  /** Called when the connection is lost, after each failed retry, and when the stream resumes. */
  onReconnect?: ((notice: TasksReconnectNotice) => void) | undefined;
}

/**
 * A client of a Spool service. Calls fail with SpoolRpcError. The client repeats calls while the server is UNAVAILABLE.
 * This is safe for all calls: a repeated start carries the same request id and returns the same task.
 */
export interface SpoolClient extends Disposable {
  /** Starts a task. When this resolves, the task is durable, and has started once even if the client retried. */
  start(request: StartRequest, options?: CallOptions): Promise<StartedTask>;
  /**
   * Starts a task like `start`, and follows it from its first event like `follow`, in one call. The stream is open when
   * this resolves, so callers that do not read the events should use `start`.
   */
  run(request: StartRequest, options?: RunOptions): Promise<StartedTask & { events: AsyncIterable<SpoolEvent> }>;
  /**
   * Follows a tape from `fromSeq` (inclusive, default 1n): stored events first, then live ones. Every event comes once
   * and in order, also after reconnects and server restarts. Ends after `final`; if `fromSeq` is past the end of a
   * finished tape, ends at once.
   *
   * @throws SpoolRpcError DATA_LOSS if a server repeats or skips events; OUT_OF_RANGE (reason SEQ_OUT_OF_RANGE, with
   *   `last_seq`) if `fromSeq` is past last_seq + 1 of an unfinished task
   */
  follow(tape: TapeToFollow, options?: FollowOptions): AsyncIterable<SpoolEvent>;
  /** Follows a tape like `follow`, but yields frames: heartbeats too, each with the task's status and last seq. */
  followFrames(tape: TapeToFollow, options?: FollowOptions): AsyncIterable<Frame>;
  /**
   * Follows many tasks over one stream, including tasks that start later, until the caller stops reading. Reconnects by
   * itself. Yields either every event once and in the order of its tape, or the state of each task whenever it changes.
   * A heartbeat is a frame without tasks; the first frame of a stream usually has none either. Store a frame's cursor
   * after processing the frame: with it, another process can resume.
   */
  followTasks(tasks?: TasksToFollow, options?: FollowTasksOptions): AsyncIterable<TasksFrame>;
  /** Returns one page of a tape. @param page.waitMs how long to wait for a first event, in ms, 0 to 60 s. Default 0 */
  events(
    page: TapeToFollow & { limit?: number | undefined; waitMs?: number | undefined },
    options?: CallOptions,
  ): Promise<EventPage>;
  /** Waits for `final` and returns it, also for a failed task. Throws WaitTimeout after `timeoutMs`, in ms. */
  waitFinal(wait: { taskId: string; timeoutMs: number }, options?: CallOptions): Promise<FinalEvent>;
  /**
   * Returns the outcome of a finished task. For an unfinished task, throws SpoolRpcError with reason TASK_NOT_TERMINAL.
   *
   * @param wait.waitMs how long to wait for the end, in ms, 0 to 60 s. Default 0
   */
  result(wait: { taskId: string; waitMs?: number | undefined }, options?: CallOptions): Promise<TaskResult>;
  /** Cancels a pending task, asks a running task to stop, and leaves a finished task unchanged: see the outcome. */
  cancel(cancel: { taskId: string; reason?: string | undefined }, options?: CallOptions): Promise<CancelledTask>;
  /**
   * Removes a finished task with its tape, so that no call finds it. Repeating this within 7 days is safe. For an
   * unfinished task, throws SpoolRpcError with reason TASK_NOT_TERMINAL.
   */
  delete(task: { taskId: string }, options?: CallOptions): Promise<DeletedTask>;
  get(task: { taskId: string }, options?: CallOptions): Promise<Task>;
  /** Yields all matching tasks, newest first. Fetches pages as the caller reads on. */
  list(filter?: TaskFilter, options?: CallOptions): AsyncIterable<Task>;
  listPage(filter?: TaskFilter & { pageToken?: string | undefined }, options?: CallOptions): Promise<TaskPage>;
  /** Returns the servers and workers that run the tasks: at most 1,000 sessions, oldest first. */
  sessions(options?: CallOptions): Promise<{ sessions: Session[]; hasMore: boolean }>;
  /**
   * Makes a token for one task, such as for a page that follows the task in a browser. Such a token reads and cancels
   * this task only. The service does not store it, so it cannot be revoked.
   */
  createTaskToken(request: TaskTokenRequest, options?: CallOptions): Promise<TaskToken>;
  /** Returns how many tasks started and ended recently, by time step and kind. Servers cache this for about 1 s. */
  activity(request?: ActivityRequest, options?: CallOptions): Promise<Activity>;
  /** Ends all open calls with an error. Tasks keep running. */
  close(): void;
}
