import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Unimplemented } from "../../domain/errors.ts";
import { LIST_BYTES_MAX } from "../../domain/limits.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import type { TapePage, TaskEngine } from "../../engine/api/task-engine.ts";
import {
  CreateTaskTokenResponseSchema,
  DeleteTaskResponseSchema,
  GetTaskResponseSchema,
  ListTasksResponseSchema,
  StartTaskResponseSchema,
} from "../../gen/spool/v1/task_service_pb.ts";
import type { StreamEventsResponse, TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { toGetActivityResponse } from "../../codec/activity.ts";
import { toCancelTaskResponse } from "../../codec/cancel.ts";
import { toGetResultResponse } from "../../codec/task-result.ts";
import { toTaskMessage } from "../../codec/task.ts";
import {
  toGetEventsResponse,
  toRunTaskResponse,
  toRunTaskStart,
  toStreamEventsResponse,
} from "../codec/tape-answers.ts";
import { toProgressMessage } from "../../codec/event.ts";
import { cutFollowedPage } from "../codec/followed-frames.ts";
import { cutFrames, cutPage } from "../codec/frames.ts";
import { encodePageToken } from "../codec/page-token.ts";
import { violatedWithin } from "../validation/checks.ts";
import { parseGetActivity } from "../validation/parse-activity.ts";
import {
  parseCancelTask,
  parseDeleteTask,
  parseGetEvents,
  parseGetResult,
  parseGetTask,
  parseListTasks,
  parseRunTask,
  parseStartTask,
  parseStreamEvents,
} from "../validation/parse.ts";
import type { StartContext } from "../validation/parse.ts";
import { parseCreateTaskToken } from "../validation/parse-task-token.ts";
import { parseFollowTasks } from "../validation/parse-follow-tasks.ts";
import { callerName } from "../call/identity.ts";
import type { CallContext, ServiceHandlers } from "../call/service.ts";
import { lazyMessage } from "../codec/tape-message.ts";
import { encodeTasks } from "../codec/task-list.ts";

/** Makes tokens for single tasks of a namespace. */
interface TaskTokenMaker {
  namespace: string;
  create: ServiceAdmin["createTaskToken"];
}

/**
 * Implements spool.v1.TaskService over an engine, for every endpoint. A handler validates, calls the engine and returns
 * a message. The endpoint converts what a handler throws with toRpcError.
 *
 * @param options.listBytesMax the most bytes of a page of tasks, encoded as protobuf
 * @param options.taskTokens makes tokens for single tasks of the engine's namespace; undefined: calls of
 *   CreateTaskToken end with UNIMPLEMENTED
 */
export function taskService(
  engine: TaskEngine,
  {
    listBytesMax = LIST_BYTES_MAX,
    taskTokens,
  }: { listBytesMax?: number; taskTokens?: TaskTokenMaker | undefined } = {},
): ServiceHandlers<typeof TaskService> {
  return {
    async startTask(request, context) {
      const wanted = parseStartTask(request, startContext(context));
      const { task, alreadyStarted } = await engine.startTask(wanted, context.identity?.limits);
      return create(StartTaskResponseSchema, { task: toTaskMessage(task), alreadyStarted });
    },

    async getTask(request) {
      const task = await engine.getTask(parseGetTask(request));
      return create(GetTaskResponseSchema, { task: toTaskMessage(task) });
    },

    async *runTask(request, context) {
      const { signal } = context;
      const { task: wanted, heartbeatMs, view } = parseRunTask(request, startContext(context));
      const { task, alreadyStarted } = await engine
        .startTask(wanted, context.identity?.limits)
        .catch((error: unknown) => {
          throw violatedWithin("start", error);
        });
      yield toRunTaskStart(task, alreadyStarted);
      let opening = true; // An empty first page would only repeat the frame above.
      // The commit that has just stored a new task is no older than this call.
      const knownSeq = alreadyStarted ? {} : { knownSeq: task.lastSeq };
      const query = { taskId: task.taskId, fromSeq: 1n, heartbeatMs, view, ...knownSeq };
      for await (const page of engine.followTape(query, signal)) {
        if (!opening || page.events.length > 0) for (const frame of cutFrames(page)) yield toRunTaskResponse(frame);
        opening = false;
      }
    },

    async listTasks(request) {
      const { filter, ...page } = parseListTasks(request);
      const { tasks: found, progress, hasMore } = await engine.listTasks({ ...page, ...filter });
      const { tasks, encoded } = await encodeTasks(found, listBytesMax);
      const last = tasks.at(-1);
      const ended = last === undefined || (!hasMore && tasks.length === found.length);
      const rest = create(ListTasksResponseSchema, {
        nextPageToken: ended ? "" : encodePageToken(last.taskId, filter),
        progress: Object.fromEntries(
          tasks.flatMap(({ taskId }) => {
            const latest = progress.get(taskId);
            return latest === undefined ? [] : [[taskId, toProgressMessage(latest)]];
          }),
        ),
      });
      const convert = () => tasks.map(toTaskMessage);
      return lazyMessage(ListTasksResponseSchema, rest, { field: "tasks", convert, encoded });
    },

    async cancelTask(request, { identity }) {
      const { taskId, reason } = parseCancelTask(request);
      return toCancelTaskResponse(await engine.cancelTask(taskId, { reason, by: callerName(identity) }));
    },

    async deleteTask(request, { identity }) {
      return create(DeleteTaskResponseSchema, await engine.deleteTask(parseDeleteTask(request), callerName(identity)));
    },

    async getEvents(request, { signal }) {
      const page = await engine.readEvents(parseGetEvents(request), signal);
      return toGetEventsResponse(cutPage(page));
    },

    async *streamEvents(request, { signal }) {
      for await (const page of engine.followTape(parseStreamEvents(request), signal)) {
        yield* streamFrames(page);
      }
    },

    async getResult(request, { signal }) {
      return toGetResultResponse(await engine.waitForResult(parseGetResult(request), signal));
    },

    async *followTasks(request, { signal }) {
      const query = parseFollowTasks(request);
      for await (const page of engine.followTasks(query, signal)) yield* cutFollowedPage(page, query);
    },

    async createTaskToken(request, { identity }) {
      const wanted = parseCreateTaskToken(request);
      if (taskTokens === undefined)
        throw new Unimplemented("this server does not authenticate calls, so it has no tokens: set SPOOL_TOKEN");
      await engine.getTask(wanted.taskId); // The caller must see the task.
      const { principal, expiresAt: notAfter = null } = identity!;
      const { namespace, create: createToken } = taskTokens;
      const { token, expiresAt } = await createToken(principal, { ...wanted, namespace, notAfter });
      return create(CreateTaskTokenResponseSchema, { token, expiresAt: timestampFromDate(expiresAt) });
    },

    async getActivity(request) {
      return toGetActivityResponse(await engine.getActivity(parseGetActivity(request)));
    },
  };
}

function startContext({ traceparent = null, identity }: CallContext): StartContext {
  return { now: Date.now(), traceparent, startedBy: callerName(identity) };
}

const streamFramesOf = new WeakMap<TapePage, readonly StreamEventsResponse[]>();

/** Returns the frames of a page. Followers at the same position share a page, so a page is encoded once for all. */
function streamFrames(page: TapePage): readonly StreamEventsResponse[] {
  let frames = streamFramesOf.get(page);
  if (frames === undefined) {
    frames = Array.from(cutFrames(page), toStreamEventsResponse);
    streamFramesOf.set(page, frames);
  }
  return frames;
}
