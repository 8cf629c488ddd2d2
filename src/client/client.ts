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

/** How long one attempt at a call may go without an answer, besides the wait that was asked of the server. */
const ANSWER_MS_MAX = 20_000;
/** A stream is sent a frame at least every heartbeat. Two missed and a half: the connection is lost. */
const SILENT_HEARTBEATS = 2.5;

export interface ConnectOptions extends ConnectionOptions {
  /** How long a call or a follower keeps trying without success, in ms; 0: one try, Infinity: for ever. Default 60 s. */
  retryMs?: number | undefined;
  /** How often a quiet stream is to show that it lives, 1 to 60 s, in ms. Default 15 s. */
  heartbeatMs?: number | undefined;
}

export interface CallOptions {
  /** Ends the wait, never the task. The call throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface FollowOptions extends CallOptions {
  /** How long to come back without progress, in ms; Infinity: for ever. Default: the client's. */
  retryMs?: number | undefined;
  /** Told when the connection was lost, at each try that failed, and when the tape goes on. */
  onReconnect?: ((notice: ReconnectNotice) => void) | undefined;
}

export interface FollowTasksOptions extends CallOptions {
  /** How long to come back without progress, in ms; Infinity: for ever. Default: the client's. */
  retryMs?: number | undefined;
  /** Told when the connection was lost, at each try that failed, and when the stream goes on. */
  onReconnect?: ((notice: TasksReconnectNotice) => void) | undefined;
}

/**
 * A connection to a Spool service. Every call throws SpoolRpcError. Calls are sent again while the server is
 * UNAVAILABLE, which is safe for all of them, and for a start because its request id finds the task again.
 */
export interface SpoolClient extends Disposable {
  /** Starts a task: durable when this returns, and started once however often the client had to ask. */
  start(request: StartRequest, options?: CallOptions): Promise<StartedTask>;
  /**
   * Starts a task, as `start`, and follows it from its first event, as `follow`, in one call. The stream is open when
   * this returns: who will not read the events calls `start`.
   */
  run(request: StartRequest, options?: FollowOptions): Promise<StartedTask & { events: AsyncIterable<SpoolEvent> }>;
  /**
   * The tape from `fromSeq` (inclusive; default 1n), replayed and then live: every event once and in order, over lost
   * connections and restarts. Ends after `final`, at once where fromSeq is past the end of a finished tape. Throws
   * DATA_LOSS for a server that repeats or skips events, and OUT_OF_RANGE (SEQ_OUT_OF_RANGE, with `last_seq`) where
   * fromSeq is past last_seq + 1 of a task that has not ended.
   */
  follow(tape: { taskId: string; fromSeq?: bigint | undefined }, options?: FollowOptions): AsyncIterable<SpoolEvent>;
  /** As `follow`, frame by frame: with heartbeats, the status and the last seq. */
  followFrames(tape: { taskId: string; fromSeq?: bigint | undefined }, options?: FollowOptions): AsyncIterable<Frame>;
  /**
   * Many tasks by one stream, those that start later too, over lost connections and restarts, until it is left: every
   * event once, in its task's order; or each task as it stands, whenever it has changed. A heartbeat is a frame without
   * tasks, and the frame that a stream begins with mostly is one. Keep a frame's cursor when it has been dealt with, and
   * another process goes on from there.
   */
  followTasks(tasks?: TasksToFollow, options?: FollowTasksOptions): AsyncIterable<TasksFrame>;
  /** One page of a tape. @param waitMs how long to wait for a first event, 0 to 60 s */
  events(
    page: { taskId: string; fromSeq?: bigint | undefined; limit?: number | undefined; waitMs?: number | undefined },
    options?: CallOptions,
  ): Promise<EventPage>;
  /**
   * Waits until the last event of the tape is `final`, and returns that, of a failed task too.
   * @param timeoutMs then it throws WaitTimeout, which says what was seen last
   */
  waitFinal(wait: { taskId: string; timeoutMs: number }, options?: CallOptions): Promise<FinalEvent>;
  /**
   * The outcome of a task that has ended; of another: reason TASK_NOT_TERMINAL.
   * @param waitMs how long to wait for the end, 0 to 60 s
   */
  result(wait: { taskId: string; waitMs?: number | undefined }, options?: CallOptions): Promise<TaskResult>;
  /** Asks a task to end. A finished one stays as it is, and the outcome says so. */
  cancel(cancel: { taskId: string; reason?: string | undefined }, options?: CallOptions): Promise<CancelledTask>;
  get(task: { taskId: string }, options?: CallOptions): Promise<Task>;
  /** Every task that the filter takes, newest first, page by page as the caller goes on. */
  list(filter?: TaskFilter, options?: CallOptions): AsyncIterable<Task>;
  listPage(filter?: TaskFilter & { pageToken?: string | undefined }, options?: CallOptions): Promise<TaskPage>;
  /** Who runs the tasks of the service: at most 1,000 sessions, those that began first, first. */
  sessions(options?: CallOptions): Promise<{ sessions: Session[]; hasMore: boolean }>;
  /** What began and ended of late, in steps and by kind: as of about a second ago. */
  activity(request?: ActivityRequest, options?: CallOptions): Promise<Activity>;
  /** Ends everything under way with an error. Tasks run on. */
  close(): void;
}

/** Connects when the first call is made. A client is meant to be kept and shared; close it when done. */
export function connect(options: ConnectOptions = {}): SpoolClient {
  const { retryMs = RETRY_MS_DEFAULT, heartbeatMs = HEARTBEAT_MS_DEFAULT } = options;
  const transport = openConnection(options);
  const method = TaskService.method;
  const silenceMs = heartbeatMs * SILENT_HEARTBEATS;

  /**
   * @param waitMs how long the server was asked to wait before it answers
   * @param read reads the answer, where that is not protobuf-es's to do
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
      const { signal, retryMs: patienceMs = retryMs } = follow;
      const wanted = runRequest(request, heartbeatMs);
      const open = () => openRun(transport.stream(method.runTask, wanted, { silenceMs, signal, read: readRun }));
      const { started, frames } = await withRetries(open, { retryMs: patienceMs, signal });
      const { taskId } = started.task;
      // The first stream is there; those that come in its place when it breaks begin where it broke.
      const streams = [frames];
      const next = (fromSeq: bigint) => streams.pop() ?? openStream({ taskId, fromSeq }, signal);
      const options = { ...follow, taskId, fromSeq: 1n, retryMs: patienceMs };
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
          throw brokenPromise("the list of tasks goes round: a page names itself as the next");
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
    for (const event of frame.events) yield event; // One by one: `yield*` would ask for a promise more each.
  }
}
