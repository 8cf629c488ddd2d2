import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { bodyOf } from "../domain/event.ts";
import type { EventBodies, EventType, TapeEvent, TaskFailure } from "../domain/event.ts";
import type { Task } from "../domain/task.ts";
import type { TapePage, TaskOutcome } from "../engine/task-engine.ts";
import { EventSchema, LogLevel } from "../gen/spool/v1/event_pb.ts";
import type { Event } from "../gen/spool/v1/event_pb.ts";
import { TaskErrorSchema, TaskSchema } from "../gen/spool/v1/task_pb.ts";
import type { Task as TaskMessage, TaskError } from "../gen/spool/v1/task_pb.ts";
import {
  CancelOutcome,
  GetEventsResponseSchema,
  GetResultResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../gen/spool/v1/task_service_pb.ts";
import type {
  GetEventsResponse,
  GetResultResponse,
  RunTaskResponse,
  StreamEventsResponse,
} from "../gen/spool/v1/task_service_pb.ts";
import { toStatusValue } from "./status.ts";

export const CANCEL_OUTCOMES = {
  cancelled: CancelOutcome.CANCELLED,
  requested: CancelOutcome.REQUESTED,
  already_terminal: CancelOutcome.ALREADY_TERMINAL,
} as const;

export function toTaskMessage(task: Task): TaskMessage {
  const { params, requestId, startedAt, finishedAt, runAt, deadlineAt, timeoutMs, cancelRequestedAt } = task;
  return create(TaskSchema, {
    taskId: task.taskId,
    kind: task.kind,
    status: toStatusValue(task.status),
    paramsDigest: task.paramsDigest,
    labels: { ...task.labels },
    createdAt: timestampFromDate(task.createdAt),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    lastSeq: task.lastSeq,
    ...(params && { params }),
    ...(requestId !== null && { requestId }),
    ...(startedAt && { startedAt: timestampFromDate(startedAt) }),
    ...(finishedAt && { finishedAt: timestampFromDate(finishedAt) }),
    ...(runAt && { runAt: timestampFromDate(runAt) }),
    ...(deadlineAt && { deadlineAt: timestampFromDate(deadlineAt) }),
    ...(timeoutMs !== null && { timeout: durationFromMs(timeoutMs) }),
    ...(cancelRequestedAt && { cancelRequestedAt: timestampFromDate(cancelRequestedAt) }),
  });
}

/** Events do not change, and the same objects go to every follower of a tape: each is converted once. */
const eventMessages = new WeakMap<TapeEvent, Event>();

/** The message is shared: it must not be changed. */
export function toEventMessage(event: TapeEvent): Event {
  let message = eventMessages.get(event);
  if (message === undefined) {
    const time = timestampFromDate(event.time);
    message = create(EventSchema, { seq: event.seq, time, body: toBodyMessage(event) });
    eventMessages.set(event, message);
  }
  return message;
}

export function toGetEventsResponse(page: TapePage): GetEventsResponse {
  const { taskId, hasMore } = page;
  return create(GetEventsResponseSchema, { ...frameFields(page), taskId, hasMore });
}

export function toStreamEventsResponse(page: TapePage): StreamEventsResponse {
  return create(StreamEventsResponseSchema, frameFields(page));
}

export function toRunTaskResponse(page: TapePage): RunTaskResponse {
  return create(RunTaskResponseSchema, frameFields(page));
}

/** The frame that RunTask begins with: the task, and no event. */
export function toRunTaskStart(task: Task, alreadyStarted: boolean): RunTaskResponse {
  return create(RunTaskResponseSchema, {
    nextFromSeq: 1n,
    lastSeq: task.lastSeq,
    status: toStatusValue(task.status),
    task: toTaskMessage(task),
    alreadyStarted,
  });
}

export function toGetResultResponse({ taskId, status, startedAt, ...end }: TaskOutcome): GetResultResponse {
  return create(GetResultResponseSchema, {
    taskId,
    status: toStatusValue(status),
    finishedAt: timestampFromDate(end.finishedAt),
    outcome: toOutcome({ status, ...end }),
    ...(startedAt && { startedAt: timestampFromDate(startedAt) }),
  });
}

function frameFields({ events, nextFromSeq, lastSeq, status }: TapePage) {
  return { events: events.map(toEventMessage), nextFromSeq, lastSeq, status: toStatusValue(status) };
}

type BodyInit = NonNullable<MessageInitShape<typeof EventSchema>["body"]>;

/** How each type of event reads on the wire. */
const BODIES: { readonly [Type in EventType]: (body: EventBodies[Type]) => BodyInit } = {
  started: (value) => ({ case: "started", value }),
  progress: ({ phase, current, total, detail }) => ({
    case: "progress",
    value: { phase, current: BigInt(current), total: BigInt(total), ...(detail && { detail }) },
  }),
  log: ({ level, message }) => ({ case: "log", value: { level: LogLevel[level], message } }),
  partial: (value) => ({ case: "partial", value }),
  cancel_requested: (value) => ({ case: "cancelRequested", value }),
  retrying: ({ error, next_attempt_at: nextAttemptAt }) => ({
    case: "retrying",
    value: { error: toTaskError(error), nextAttemptAt: toTimestamp(nextAttemptAt) },
  }),
  final: (body) => ({ case: "final", value: { status: toStatusValue(body.status), outcome: toOutcome(body) } }),
};

function toBodyMessage<Type extends EventType>(event: TapeEvent & { type: Type }): BodyInit {
  // A later version, on another replica of the same database, may write types that this one does not know.
  if (!Object.hasOwn(BODIES, event.type)) return { case: undefined };
  return BODIES[event.type](bodyOf(event));
}

function toOutcome({ status, result, error }: EventBodies["final"]) {
  if (status === "succeeded") return { case: "result", value: result ?? {} } as const;
  if (error === undefined) return { case: undefined };
  return { case: "error", value: toTaskError(error) } as const;
}

function toTaskError({ reason, message, details }: TaskFailure): TaskError {
  return create(TaskErrorSchema, { reason, message, ...(details && { details }) });
}

function toTimestamp(text: string): Timestamp {
  return timestampFromDate(new Date(text));
}
