import type { DescMethodUnary, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { TIMER_MS_MAX } from "../async/time-limit.ts";
import { HEARTBEAT_MS_DEFAULT } from "../domain/limits.ts";
import type { EventView } from "../domain/series.ts";
import { TaskService } from "../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../gen/spool/v1/worker_service_pb.ts";
import { fromGetActivityResponse } from "../codec/activity.ts";
import { fromCancelTaskResponse } from "../codec/cancel.ts";
import { readEventPage, readTapeFrame } from "../codec/tape-page.ts";
import { fromGetResultResponse } from "../codec/task-result.ts";
import { fromSessionMessage } from "../codec/session.ts";
import { readTime } from "../codec/timestamp.ts";
import { fromTaskMessage } from "../codec/task.ts";
import { toEventViewValue } from "../codec/event-view.ts";
import { readTasksFrame } from "../codec/followed-tasks.ts";
import { brokenPromise } from "../codec/rpc-error.ts";
import { followFrames } from "./follow/follow.ts";
import { followTasks } from "./follow/follow-tasks.ts";
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
  taskTokenRequest,
} from "./requests.ts";
import { RETRY_MS_DEFAULT, withRetries } from "./retry.ts";
import { openRun } from "./follow/run.ts";
import { waitFinal } from "./follow/waiter.ts";
import type { GetEvents } from "./follow/waiter.ts";
import type { Transport } from "./transport/transport.ts";
import type { CallerOptions, CallOptions, SpoolClient } from "./spool-client.ts";
import type { Frame, SpoolEvent, TasksFrame } from "./types.ts";

/** How long one attempt at a call may take, in ms, in addition to the wait that the caller asked for. */
const ANSWER_MS_MAX = 20_000;
/** After 2.5 heartbeat intervals without a frame, the connection counts as lost. Servers send one per interval. */
const SILENT_HEARTBEATS = 2.5;

/** Makes a client from a transport. */
export function createCaller(transport: Transport, options: CallerOptions): SpoolClient {
  const { retryMs = RETRY_MS_DEFAULT, heartbeatMs = HEARTBEAT_MS_DEFAULT } = options;
  const method = TaskService.method;
  const silenceMs = Math.min(TIMER_MS_MAX, heartbeatMs * SILENT_HEARTBEATS);

  /** @param waitMs how long the caller asked the server to wait before it answers, in ms */
  function call<I extends Message, O extends Message>(
    method: DescMethodUnary<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    { signal, waitMs = 0 }: CallOptions & { waitMs?: number | undefined } = {},
  ): Promise<O> {
    const limits = { timeoutMs: answerMs(waitMs), signal };
    return withRetries(() => transport.unary(method, request, limits), { retryMs, signal });
  }

  async function* openStream(
    { view, ...tape }: { taskId: string; fromSeq: bigint; view: EventView },
    signal?: AbortSignal,
  ): AsyncGenerator<Frame> {
    const heartbeatInterval = duration("heartbeat_interval", heartbeatMs);
    const request = { ...tape, heartbeatInterval, view: toEventViewValue(view) };
    const stream = transport.streamTape(method.streamEvents, request, { silenceMs, signal });
    for await (const answer of stream) yield readTapeFrame(answer);
  }

  const client: SpoolClient = {
    async start(request, options) {
      const { task, alreadyStarted } = await call(method.startTask, startRequest(request), options);
      return { task: fromTaskMessage(task), alreadyStarted };
    },

    async run(request, follow = {}) {
      const { signal, retryMs: followRetryMs = retryMs, view = "recorded" } = follow;
      const wanted = runRequest(request, { heartbeatMs, view });
      const open = () => openRun(transport.streamTape(method.runTask, wanted, { silenceMs, signal }));
      const { started, frames } = await withRetries(open, { retryMs: followRetryMs, signal });
      const { taskId } = started.task;
      // The first stream is open already. After a failure, a new stream resumes at the next seq.
      const streams = [frames];
      const next = (fromSeq: bigint) => streams.pop() ?? openStream({ taskId, fromSeq, view }, signal);
      const options = { ...follow, taskId, fromSeq: 1n, retryMs: followRetryMs };
      return { ...started, events: eventsOf(followFrames(next, options)) };
    },

    follow(tape, follow) {
      return eventsOf(client.followFrames(tape, follow));
    },

    followFrames({ taskId, fromSeq = 1n, view = "recorded" }, follow = {}) {
      const open = (nextSeq: bigint) =>
        openStream({ taskId, fromSeq: int64("from_seq", nextSeq), view }, follow.signal);
      return followFrames(open, { ...follow, taskId, fromSeq, retryMs: follow.retryMs ?? retryMs });
    },

    followTasks(tasks = {}, follow = {}) {
      const { signal } = follow;
      async function* open(cursor: string): AsyncGenerator<TasksFrame> {
        const request = followTasksRequest(tasks, { cursor, heartbeatMs });
        const stream = transport.stream(method.followTasks, request, { silenceMs, signal });
        for await (const answer of stream) yield readTasksFrame(answer);
      }
      const { cursor = "" } = tasks;
      return followTasks(open, { ...follow, cursor, retryMs: follow.retryMs ?? retryMs });
    },

    async events({ taskId, fromSeq = 1n, limit, waitMs = 0, view }, options) {
      const request = eventsRequest({ taskId, fromSeq, limit, waitMs, view });
      const { signal } = options ?? {};
      const limits = { timeoutMs: answerMs(waitMs), signal };
      const read = () => transport.readTape(method.getEvents, request, limits);
      return readEventPage(await withRetries(read, { retryMs, signal }));
    },

    waitFinal(wait, { signal } = {}) {
      const getEvents: GetEvents = async (page, { signal }) => {
        const limits = { timeoutMs: answerMs(page.waitMs), signal };
        return readEventPage(await transport.readTape(method.getEvents, eventsRequest(page), limits));
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

    async delete({ taskId }, options) {
      const { alreadyDeleted } = await call(method.deleteTask, { taskId }, options);
      return { alreadyDeleted };
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

    async createTaskToken(request, options) {
      const { token, expiresAt } = await call(method.createTaskToken, taskTokenRequest(request), options);
      return { token, expiresAt: readTime(expiresAt, "expires_at") };
    },

    async activity(request = {}, options) {
      return fromGetActivityResponse(await call(method.getActivity, activityRequest(request), options));
    },

    close: transport.close,
    [Symbol.dispose]: transport.close,
  };
  return client;
}

/** Returns how long to wait for an answer. The server rejects a wait that is too long, which a timer could not hold. */
function answerMs(waitMs: number): number {
  return Math.min(TIMER_MS_MAX, waitMs + ANSWER_MS_MAX);
}

async function* eventsOf(frames: AsyncIterable<Frame>): AsyncGenerator<SpoolEvent, void, undefined> {
  for await (const frame of frames) {
    for (const event of frame.events) yield event; // Not `yield*`, which costs one more promise per event.
  }
}
