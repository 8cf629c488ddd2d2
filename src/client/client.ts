import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { HEARTBEAT_MS_DEFAULT } from "../domain/limits.ts";
import {
  FollowTasksResponseSchema,
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
  TaskService,
} from "../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../gen/spool/v1/worker_service_pb.ts";
import { fromGetActivityResponse } from "../codec/activity.ts";
import { openConnection } from "./transport/connection.ts";
import type { ConnectionOptions } from "./transport/connection.ts";
import { fromCancelTaskResponse } from "../codec/cancel.ts";
import { readEventPage, readTapeFrame } from "../codec/tape-page.ts";
import { fromGetResultResponse } from "../codec/task-result.ts";
import { fromSessionMessage } from "../codec/session.ts";
import { fromTaskMessage } from "../codec/task.ts";
import { readTasksFrame } from "../codec/followed-tasks.ts";
import { brokenPromise } from "../codec/rpc-error.ts";
import { followFrames } from "./follow/follow.ts";
import type { ReconnectNotice } from "./follow/follow.ts";
import { followTasks } from "./follow/follow-tasks.ts";
import type { TasksReconnectNotice } from "./follow/follow-tasks.ts";
import type { Read } from "./transport/grpc-transport.ts";
import {
  activityRequest,
  checkText,
  duration,
  eventsRequest,
  followTasksRequest,
  int64,
  listRequest,
  runRequest,
  startRequest,
} from "./requests.ts";
import { RETRY_MS_DEFAULT, withRetries } from "./retry.ts";
import { openRun } from "./follow/run.ts";
import { readTapeAnswer } from "./follow/tape-reader.ts";
import { waitFinal } from "./follow/waiter.ts";
import type { GetEvents } from "./follow/waiter.ts";
import type {
  Activity,
  ActivityRequest,
  CancelledTask,
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
} from "./types.ts";

export { SpoolRpcError } from "../codec/rpc-error.ts";
export type { RpcCode } from "../codec/rpc-error.ts";
export type { ReconnectNotice } from "./follow/follow.ts";
export type { TasksReconnectNotice } from "./follow/follow-tasks.ts";
export { WaitTimeout } from "./follow/waiter.ts";
export { worker } from "./worker/worker.ts";
export type { SpoolWorker, WorkerOptions } from "./worker/worker.ts";
export type { WorkerNotice } from "./worker/worker-notice.ts";
export type * from "./types.ts";
export type { JsonObject, JsonValue } from "../domain/json.ts";
export type { TaskFailure, LogLevel } from "../domain/event.ts";
export type { RetryPolicy } from "../domain/retry.ts";
export type { TaskStatus, TerminalStatus } from "../domain/task.ts";

/** How long one attempt at a call may take, in ms, in addition to the wait that the caller asked for. */
const ANSWER_MS_MAX = 20_000;
/** After 2.5 heartbeat intervals without a frame, the connection counts as lost. Servers send one per interval. */
const SILENT_HEARTBEATS = 2.5;

export interface ConnectOptions extends ConnectionOptions {
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
  run(request: StartRequest, options?: FollowOptions): Promise<StartedTask & { events: AsyncIterable<SpoolEvent> }>;
  /**
   * Follows a tape from `fromSeq` (inclusive, default 1n): stored events first, then live ones. Every event comes once
   * and in order, also after reconnects and server restarts. Ends after `final`; if `fromSeq` is past the end of a
   * finished tape, ends at once.
   *
   * @throws SpoolRpcError DATA_LOSS if a server repeats or skips events; OUT_OF_RANGE (reason SEQ_OUT_OF_RANGE, with
   *   `last_seq`) if `fromSeq` is past last_seq + 1 of an unfinished task
   */
  follow(tape: { taskId: string; fromSeq?: bigint | undefined }, options?: FollowOptions): AsyncIterable<SpoolEvent>;
  /** Follows a tape like `follow`, but yields frames: heartbeats too, each with the task's status and last seq. */
  followFrames(tape: { taskId: string; fromSeq?: bigint | undefined }, options?: FollowOptions): AsyncIterable<Frame>;
  /**
   * Follows many tasks over one stream, including tasks that start later, until the caller stops reading. Reconnects by
   * itself. Yields either every event once and in the order of its tape, or the state of each task whenever it changes.
   * A heartbeat is a frame without tasks; the first frame of a stream usually has none either. Store a frame's cursor
   * after processing the frame: with it, another process can resume.
   */
  followTasks(tasks?: TasksToFollow, options?: FollowTasksOptions): AsyncIterable<TasksFrame>;
  /** Returns one page of a tape. @param page.waitMs how long to wait for a first event, in ms, 0 to 60 s. Default 0 */
  events(
    page: { taskId: string; fromSeq?: bigint | undefined; limit?: number | undefined; waitMs?: number | undefined },
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
  get(task: { taskId: string }, options?: CallOptions): Promise<Task>;
  /** Yields all matching tasks, newest first. Fetches pages as the caller reads on. */
  list(filter?: TaskFilter, options?: CallOptions): AsyncIterable<Task>;
  listPage(filter?: TaskFilter & { pageToken?: string | undefined }, options?: CallOptions): Promise<TaskPage>;
  /** Returns the servers and workers that run the tasks: at most 1,000 sessions, oldest first. */
  sessions(options?: CallOptions): Promise<{ sessions: Session[]; hasMore: boolean }>;
  /** Returns how many tasks started and ended recently, by time step and kind. Servers cache this for about 1 s. */
  activity(request?: ActivityRequest, options?: CallOptions): Promise<Activity>;
  /** Ends all open calls with an error. Tasks keep running. */
  close(): void;
}

/** Creates a client. It connects with the first call. Share one client per process, and close it when done. */
export function connect(options: ConnectOptions = {}): SpoolClient {
  const { retryMs = RETRY_MS_DEFAULT, heartbeatMs = HEARTBEAT_MS_DEFAULT } = options;
  const transport = openConnection(options);
  const method = TaskService.method;
  const silenceMs = heartbeatMs * SILENT_HEARTBEATS;

  /**
   * @param waitMs how long the caller asked the server to wait before it answers, in ms
   * @param read decodes the answer; the default is protobuf-es
   */
  function call<I extends DescMessage, O extends DescMessage, Answer = MessageShape<O>>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions & { waitMs?: number | undefined; read?: Read<Answer> } = {},
  ): Promise<Answer> {
    const { signal, waitMs = 0, read = (bytes) => fromBinary(method.output, bytes) as Answer } = options;
    const timeoutMs = waitMs + ANSWER_MS_MAX;
    return withRetries(() => transport.unary(method, request, { timeoutMs, signal, read }), { retryMs, signal });
  }

  async function* openStream(tape: { taskId: string; fromSeq: bigint }, signal?: AbortSignal): AsyncGenerator<Frame> {
    const request = { ...tape, heartbeatInterval: duration("heartbeat_interval", heartbeatMs) };
    const stream = transport.stream(method.streamEvents, request, { silenceMs, signal, read: readFrame });
    for await (const answer of stream) yield readTapeFrame(answer);
  }

  const client: SpoolClient = {
    async start(request, options) {
      const { task, alreadyStarted } = await call(method.startTask, startRequest(request), options);
      return { task: fromTaskMessage(task), alreadyStarted };
    },

    async run(request, follow = {}) {
      const { signal, retryMs: followRetryMs = retryMs } = follow;
      const wanted = runRequest(request, heartbeatMs);
      const open = () => openRun(transport.stream(method.runTask, wanted, { silenceMs, signal, read: readRun }));
      const { started, frames } = await withRetries(open, { retryMs: followRetryMs, signal });
      const { taskId } = started.task;
      // The first stream is open already. After a failure, a new stream resumes at the next seq.
      const streams = [frames];
      const next = (fromSeq: bigint) => streams.pop() ?? openStream({ taskId, fromSeq }, signal);
      const options = { ...follow, taskId, fromSeq: 1n, retryMs: followRetryMs };
      return { ...started, events: eventsOf(followFrames(next, options)) };
    },

    follow(tape, follow) {
      return eventsOf(client.followFrames(tape, follow));
    },

    followFrames({ taskId, fromSeq = 1n }, follow = {}) {
      const open = (nextSeq: bigint) => openStream({ taskId, fromSeq: int64("from_seq", nextSeq) }, follow.signal);
      return followFrames(open, { ...follow, taskId, fromSeq, retryMs: follow.retryMs ?? retryMs });
    },

    followTasks(tasks = {}, follow = {}) {
      const { signal } = follow;
      async function* open(cursor: string): AsyncGenerator<TasksFrame> {
        const request = followTasksRequest(tasks, { cursor, heartbeatMs });
        const stream = transport.stream(method.followTasks, request, { silenceMs, signal, read: readTasks });
        for await (const answer of stream) yield readTasksFrame(answer);
      }
      const { cursor = "" } = tasks;
      return followTasks(open, { ...follow, cursor, retryMs: follow.retryMs ?? retryMs });
    },

    async events({ taskId, fromSeq = 1n, limit, waitMs = 0 }, options) {
      const request = eventsRequest({ taskId, fromSeq, limit, waitMs });
      return readEventPage(await call(method.getEvents, request, { ...options, waitMs, read: readPage }));
    },

    waitFinal(wait, { signal } = {}) {
      const getEvents: GetEvents = async (page, { signal }) => {
        const timeoutMs = page.waitMs + ANSWER_MS_MAX;
        const options = { timeoutMs, signal, read: readPage };
        return readEventPage(await transport.unary(method.getEvents, eventsRequest(page), options));
      };
      return waitFinal(getEvents, { ...wait, retryMs, signal });
    },

    async result({ taskId, waitMs = 0 }, options) {
      const request = { taskId, wait: duration("wait", waitMs) };
      return fromGetResultResponse(await call(method.getResult, request, { ...options, waitMs }));
    },

    async cancel({ taskId, reason = "" }, options) {
      checkText("reason", reason);
      return fromCancelTaskResponse(await call(method.cancelTask, { taskId, reason }, options));
    },

    async get({ taskId }, options) {
      return fromTaskMessage((await call(method.getTask, { taskId }, options)).task);
    },

    async *list(filter = {}, options) {
      let pageToken = "";
      do {
        const page = await client.listPage({ ...filter, pageToken }, options);
        yield* page.tasks;
        if (page.nextPageToken !== "" && page.nextPageToken === pageToken) {
          throw brokenPromise("the list of tasks does not end: a page has its own token as next_page_token");
        }
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
    },

    async listPage({ pageToken = "", ...filter } = {}, options) {
      const { tasks, nextPageToken } = await call(method.listTasks, listRequest(filter, pageToken), options);
      return { tasks: tasks.map(fromTaskMessage), nextPageToken };
    },

    async sessions(options) {
      const { sessions, hasMore } = await call(WorkerService.method.listSessions, {}, options);
      return { sessions: sessions.map(fromSessionMessage), hasMore };
    },

    async activity(request = {}, options) {
      return fromGetActivityResponse(await call(method.getActivity, activityRequest(request), options));
    },

    close: transport.close,
    [Symbol.dispose]: transport.close,
  };
  return client;
}

const readFrame = (bytes: Buffer) => readTapeAnswer(StreamEventsResponseSchema, bytes);
const readRun = (bytes: Buffer) => readTapeAnswer(RunTaskResponseSchema, bytes);
const readTasks = (bytes: Buffer) => fromBinary(FollowTasksResponseSchema, bytes);
const readPage = (bytes: Buffer) => readTapeAnswer(GetEventsResponseSchema, bytes);

async function* eventsOf(frames: AsyncIterable<Frame>): AsyncGenerator<SpoolEvent, void, undefined> {
  for await (const frame of frames) {
    for (const event of frame.events) yield event; // Not `yield*`, which costs one more promise per event.
  }
}
