import { create, toJsonString } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN } from "../../domain/limits.ts";
import { isTerminal } from "../../domain/task.ts";
import { EventSchema } from "../../gen/spool/v1/event_pb.ts";
import {
  FollowTasksRequestSchema,
  FollowTasksResponseSchema,
  FollowView,
  StreamEventsRequestSchema,
  TaskService,
} from "../../gen/spool/v1/task_service_pb.ts";
import type {
  FollowTasksRequest,
  StreamEventsRequest,
  StreamEventsResponse,
} from "../../gen/spool/v1/task_service_pb.ts";
import type { CallContext, ServiceHandlers } from "../../rpc/call/service.ts";
import { EVENT_VIEWS, toEventViewValue } from "../../codec/event-view.ts";
import { fromStatusValue } from "../../codec/status.ts";
import { HEARTBEAT, NAMESPACE_PARAMETER, serverSentEvent } from "./event-source.ts";
import type { EventStream } from "./event-source.ts";
import { QueryChecks, readQuery } from "./http-query.ts";
import type { HttpRequest } from "./http-server.ts";

type Handlers = Pick<ServiceHandlers<typeof TaskService>, "streamEvents" | "followTasks">;

const TAPE = /^\/v1\/tasks\/([^/]*)\/events$/;
const TASKS = "/v1/events";

/**
 * Returns the stream of server-sent events at a path: `/v1/tasks/{id}/events` (a tape) or `/v1/events` (many tasks).
 * A caller resumes with the id of the last event that it received.
 *
 * @returns undefined for any other path
 */
export function eventStream(handlers: Handlers, path: string): EventStream | undefined {
  const { streamEvents, followTasks } = TaskService.method;
  const [, taskId] = TAPE.exec(path) ?? [];
  if (taskId !== undefined) {
    const read: EventStream["read"] = (request, context) => readTape(handlers, parseTape(taskId, request), context);
    return { method: streamEvents, read };
  }
  if (path !== TASKS) return undefined;
  return { method: followTasks, read: (request, context) => readTasks(handlers, parseTasks(request), context) };
}

async function* readTape({ streamEvents }: Handlers, wanted: StreamEventsRequest, context: CallContext) {
  for await (const frame of streamEvents(wanted, context)) {
    if (!isPastEnd(frame)) yield frame.events.length === 0 ? HEARTBEAT : textOf(frame);
  }
}

async function* readTasks({ followTasks }: Handlers, wanted: FollowTasksRequest, context: CallContext) {
  for await (const frame of followTasks(wanted, context)) {
    const { nextCursor, tasks } = frame;
    // An EventSource stores an id without data and dispatches no event.
    if (tasks.length === 0) yield `id: ${nextCursor}\n\n`;
    else yield serverSentEvent(nextCursor, "tasks", toJsonString(FollowTasksResponseSchema, frame));
  }
}

/** Whether the tape has ended and the position is past its end. */
function isPastEnd({ status, events, nextFromSeq, lastSeq }: StreamEventsResponse): boolean {
  const known = fromStatusValue(status);
  return events.length === 0 && nextFromSeq > lastSeq && known !== undefined && isTerminal(known);
}

const texts = new WeakMap<StreamEventsResponse, string>();

/** Encodes the events of a frame. Followers at the same position share a frame, so it is encoded once for all. */
function textOf(frame: StreamEventsResponse): string {
  let text = texts.get(frame);
  if (text === undefined) {
    text = frame.events
      .map((event) => {
        const { case: type } = event.body;
        // The event type is the name in the proto. An event of a newer version has an unknown type.
        const name = type === undefined ? "message" : EventSchema.field[type].name;
        return serverSentEvent(event.seq, name, toJsonString(EventSchema, event));
      })
      .join("");
    texts.set(frame, text);
  }
  return text;
}

function parseTape(taskId: string, request: HttpRequest): StreamEventsRequest {
  const checks = new QueryChecks(readQuery(request), ["from_seq", "view", "heartbeat_seconds", NAMESPACE_PARAMETER]);
  namespace(checks);
  const first = seq(checks, "from_seq", checks.one("from_seq"));
  const last = lastEventId(request);
  const fromSeq = last === undefined ? first : seq(checks, "last-event-id", last) + 1n;
  const view = EVENT_VIEWS.find((known) => known === (checks.one("view") ?? "recorded"));
  if (view === undefined) checks.refuse("view", `must be ${EVENT_VIEWS.join(" or ")}`);
  return checks.passed(
    create(StreamEventsRequestSchema, {
      taskId: checks.taskId(taskId),
      fromSeq,
      view: toEventViewValue(view ?? "recorded"),
      ...heartbeat(checks),
    }),
  );
}

const VIEWS: ReadonlyMap<string, FollowView> = new Map([
  ["events", FollowView.EVENTS],
  ["tasks", FollowView.TASKS],
]);

function parseTasks(request: HttpRequest): FollowTasksRequest {
  const known = ["kind", "label", "cursor", "from_start", "view", "heartbeat_seconds", NAMESPACE_PARAMETER];
  const checks = new QueryChecks(readQuery(request), known);
  namespace(checks);
  const fromStart = checks.one("from_start") ?? "false";
  if (fromStart !== "true" && fromStart !== "false") checks.refuse("from_start", "must be true or false");
  const view = VIEWS.get(checks.one("view") ?? "events");
  if (view === undefined) checks.refuse("view", `must be ${[...VIEWS.keys()].join(" or ")}`);
  return checks.passed(
    create(FollowTasksRequestSchema, {
      kinds: checks.all("kind"),
      labels: labels(checks),
      cursor: lastEventId(request) ?? checks.one("cursor") ?? "",
      fromStart: fromStart === "true",
      view: view ?? FollowView.UNSPECIFIED,
      ...heartbeat(checks),
    }),
  );
}

/** Returns the last event id of a reconnecting caller. It takes precedence over the URL, which does not change. */
function lastEventId({ headers }: HttpRequest): string | undefined {
  const id = headers["last-event-id"];
  return (Array.isArray(id) ? id[0] : id) || undefined;
}

/** The largest seq whose successor is still a valid position. */
const SEQ_MAX = 2n ** 63n - 2n;

function seq(checks: QueryChecks, field: string, text = "0"): bigint {
  const value = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value > SEQ_MAX) checks.refuse(field, `must be an integer from 0 to ${SEQ_MAX}`);
  return value;
}

/** Validates the parameter, which has become a header of the call. */
function namespace(checks: QueryChecks): void {
  const name = checks.one(NAMESPACE_PARAMETER);
  if (name !== undefined) checks.namespace(NAMESPACE_PARAMETER, name);
}

function labels(checks: QueryChecks): Record<string, string> {
  const pairs = checks.all("label").map((pair): [string, string] => {
    const equals = pair.indexOf("=");
    if (equals < 1) checks.refuse("label", "must be KEY=VALUE");
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  const named = Object.fromEntries(pairs);
  if (Object.keys(named).length < pairs.length) checks.refuse("label", "must contain each key once");
  return named;
}

function heartbeat(checks: QueryChecks): { heartbeatInterval?: Duration } {
  const text = checks.one("heartbeat_seconds");
  if (text === undefined) return {};
  // A text that is not a number is refused like a number out of range.
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  const range = [HEARTBEAT_MS_MIN / 1_000, HEARTBEAT_MS_MAX / 1_000] as const;
  return { heartbeatInterval: durationFromMs(checks.integer("heartbeat_seconds", seconds, range) * 1_000) };
}
