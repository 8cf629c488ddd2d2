import type { DescMethod, JsonObject, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { EventView, Series } from "../../src/domain/series.ts";
import { EventView as EventViewValue, LogLevel, SeriesMode } from "../../src/gen/spool/v1/event_pb.ts";
import type { Event, Partial$ } from "../../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import type { Task } from "../../src/gen/spool/v1/task_pb.ts";
import { CancelOutcome, FollowView, TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import type { FollowedTask, StartTaskRequestSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../src/gen/spool/v1/worker_service_pb.ts";
import type { Session } from "../../src/gen/spool/v1/worker_service_pb.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { TaskStatus as Status } from "../../src/domain/task.ts";
import { EndpointError, endpointTask, foldedBody } from "./endpoint.ts";
import type { Endpoint, EndpointEvent, EndpointNews, EndpointTask, StartOptions } from "./endpoint.ts";
import type { BadRequest_FieldViolation, ErrorInfo } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { Served } from "./served.ts";

/** Calls of any method, by its descriptor. Both throw EndpointError. */
export interface Wire {
  unary<Method extends DescMethod>(
    method: Method,
    request: MessageInitShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]>>;
  stream<Method extends DescMethod>(
    method: Method,
    request: MessageInitShape<Method["input"]>,
  ): AsyncGenerator<MessageShape<Method["output"]>>;
  close(): void;
}

/** An endpoint that speaks in the messages of the proto: what the wire says, without Spool's own client. */
export function wireEndpoint(served: Served, wire: Wire): Endpoint {
  const { method } = TaskService;
  return {
    stage: served.stage,
    async start(options) {
      const { task, alreadyStarted } = await wire.unary(method.startTask, toStartRequest(options));
      return { task: toEndpointTask(task!), alreadyStarted };
    },
    get: async (taskId) => toEndpointTask((await wire.unary(method.getTask, { taskId })).task!),
    async *list({ statuses = [], ...filter }) {
      for (let pageToken = ""; ;) {
        const wanted = statuses.map((status) => TaskStatus[status.toUpperCase() as keyof typeof TaskStatus]);
        const page = await wire.unary(method.listTasks, { ...filter, statuses: wanted, pageToken });
        yield* page.tasks.map(toEndpointTask);
        pageToken = page.nextPageToken;
        if (pageToken === "") return;
      }
    },
    async cancel(taskId, reason = "") {
      const { task, outcome } = await wire.unary(method.cancelTask, { taskId, reason });
      return { status: nameOf(TaskStatus, task!.status) as Status, outcome: nameOf(CancelOutcome, outcome) };
    },
    delete: async (taskId) => (await wire.unary(method.deleteTask, { taskId })).alreadyDeleted,
    async events({ waitMs, view, ...query }) {
      const wait = waitMs === undefined ? {} : { wait: durationFromMs(waitMs) };
      const { status, events, nextFromSeq, lastSeq, hasMore } = await wire.unary(method.getEvents, {
        ...query,
        ...wait,
        view: viewValue(view),
      });
      const name = nameOf(TaskStatus, status) as Status;
      return { status: name, events: events.map(toEndpointEvent), nextFromSeq, lastSeq, hasMore };
    },
    async *follow({ view, ...query }) {
      const wanted = { ...query, view: viewValue(view) };
      for await (const frame of wire.stream(method.streamEvents, wanted)) yield* frame.events.map(toEndpointEvent);
    },
    async *followTasks({ view, cursor = "", ...query }) {
      const wanted = { ...query, cursor, view: view === "tasks" ? FollowView.TASKS : FollowView.EVENTS };
      for await (const { tasks, nextCursor } of wire.stream(method.followTasks, wanted)) {
        yield { tasks: tasks.map(toEndpointNews), cursor: nextCursor };
      }
    },
    async result({ taskId, waitMs }) {
      const wait = waitMs === undefined ? {} : { wait: durationFromMs(waitMs) };
      const { status, outcome, startedAt } = await wire.unary(method.getResult, { taskId, ...wait });
      const error =
        outcome.case === "error" ? { reason: outcome.value.reason, message: outcome.value.message } : undefined;
      const result = outcome.case === "result" ? outcome.value : undefined;
      return { status: nameOf(TaskStatus, status) as Status, result, error, isStarted: startedAt !== undefined };
    },
    async sessions() {
      const { sessions, hasMore } = await wire.unary(WorkerService.method.listSessions, {});
      return { sessions: sessions.map(toEndpointSession), hasMore };
    },
    async [Symbol.asyncDispose]() {
      wire.close();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** What an error's details tell. */
export function endpointError(
  { reason, metadata }: ErrorInfo,
  violations: readonly BadRequest_FieldViolation[],
  code: number,
): EndpointError {
  return new EndpointError(
    reason,
    violations.map(({ field }) => field),
    metadata,
    code,
  );
}

function nameOf(names: Record<string, string | number>, value: number): string {
  return String(Object.keys(names).find((name) => names[name] === value)).toLowerCase();
}

function toStartRequest(options: StartOptions): MessageInitShape<typeof StartTaskRequestSchema> {
  const { timeoutMs, retryPolicy, runAt, deadlineAt, retentionMs, ...rest } = options;
  const { initialBackoffMs, maxBackoffMs, ...factors } = retryPolicy ?? {};
  const backoffs = {
    ...(initialBackoffMs === undefined ? {} : { initialBackoff: durationFromMs(initialBackoffMs) }),
    ...(maxBackoffMs === undefined ? {} : { maxBackoff: durationFromMs(maxBackoffMs) }),
  };
  return {
    ...rest,
    ...(timeoutMs === undefined ? {} : { timeout: durationFromMs(timeoutMs) }),
    ...(retryPolicy === undefined ? {} : { retryPolicy: { ...backoffs, ...factors } }),
    ...(runAt === undefined ? {} : { runAt: timestampFromDate(runAt) }),
    ...(deadlineAt === undefined ? {} : { deadlineAt: timestampFromDate(deadlineAt) }),
    ...(retentionMs === undefined ? {} : { retention: durationFromMs(retentionMs) }),
  };
}

function toEndpointTask({
  status,
  startedAt,
  runAt,
  deadlineAt,
  attemptDeadlineAt,
  retention,
  retryPolicy,
  ...task
}: Task): EndpointTask {
  const { initialBackoff, maxBackoff, backoffMultiplier, jitter } = retryPolicy!;
  return endpointTask({
    ...task,
    status: nameOf(TaskStatus, status) as Status,
    startedAt: startedAt ? timestampDate(startedAt) : null,
    runAt: runAt ? timestampDate(runAt) : null,
    deadlineAt: deadlineAt ? timestampDate(deadlineAt) : null,
    attemptDeadlineAt: attemptDeadlineAt ? timestampDate(attemptDeadlineAt) : null,
    retentionMs: retention ? durationMs(retention) : null,
    retryPolicy: {
      initialBackoffMs: durationMs(initialBackoff!),
      maxBackoffMs: durationMs(maxBackoff!),
      backoffMultiplier,
      jitter: jitter!,
    },
  });
}

export function toEndpointNews({ taskId, kind, events, task, progress }: FollowedTask): EndpointNews["tasks"][number] {
  const news = { taskId, kind, events: events.map(toEndpointEvent) };
  if (task === undefined) return { ...news, state: null };
  const latest = progress ? toBody({ case: "progress", value: progress }) : null;
  return { ...news, state: { status: nameOf(TaskStatus, task.status) as Status, progress: latest } };
}

export function toEndpointEvent({ seq, body }: Event): EndpointEvent {
  return {
    seq,
    type: (body.case ?? "unknown").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    body: toBody(body),
  };
}

function toBody(body: Event["body"]): JsonObject {
  switch (body.case) {
    case "started":
      return { kind: body.value.kind, attempt: body.value.attempt };
    case "progress": {
      const { phase, current, total, detail } = body.value;
      return { phase, current: Number(current), total: Number(total), ...(detail === undefined ? {} : { detail }) };
    }
    case "log":
      return { level: nameOf(LogLevel, body.value.level).toUpperCase(), message: body.value.message };
    case "partial":
      return toPartial(body.value) as unknown as JsonObject;
    case "folded": {
      const parts = body.value.parts.map(({ partial, count, firstSeq, lastSeq }) => {
        const { kind, payload, series } = toPartial(partial!);
        return { kind, payload, series: series!, count: Number(count), firstSeq, lastSeq };
      });
      return foldedBody({ firstSeq: body.value.firstSeq, parts });
    }
    case "cancelRequested":
      return { reason: body.value.reason };
    case "final": {
      const { status, outcome } = body.value;
      const name = nameOf(TaskStatus, status);
      if (outcome.case === "result") return { status: name, result: outcome.value };
      const { reason, message } = outcome.value!;
      return { status: name, error: { reason, message } };
    }
    default:
      return {};
  }
}

function toPartial({ kind, payload, series }: Partial$): { kind: string; payload: JsonObject; series?: Series } {
  if (series === undefined) return { kind, payload: payload! };
  const { name, mode, field } = series;
  const named = { name, mode: nameOf(SeriesMode, mode) as Series["mode"], ...(field !== "" && { field }) };
  return { kind, payload: payload!, series: named };
}

function viewValue(view: EventView | undefined): EventViewValue {
  return view === undefined ? EventViewValue.UNSPECIFIED : EventViewValue[view === "folded" ? "FOLDED" : "RECORDED"];
}

function toEndpointSession({
  sessionId,
  host,
  pid,
  kinds,
  capacity,
  running,
  isWorker,
  ...times
}: Session): SessionState {
  const { startedAt, seenAt, expiresAt } = times;
  return {
    sessionId,
    host,
    pid,
    kinds,
    capacity,
    running,
    isWorker,
    startedAt: timestampDate(startedAt!),
    seenAt: timestampDate(seenAt!),
    expiresAt: timestampDate(expiresAt!),
  };
}
