import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { RetryPolicy } from "../../domain/retry.ts";
import type { SeenTask, TapePage, TaskOutcome } from "../../engine/api/task-engine.ts";
import { TaskSchema } from "../../gen/spool/v1/task_pb.ts";
import type { RetryPolicySchema, Task as TaskMessage } from "../../gen/spool/v1/task_pb.ts";
import {
  CancelOutcome,
  GetEventsResponseSchema,
  GetResultResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../gen/spool/v1/task_service_pb.ts";
import type {
  GetEventsResponse,
  GetResultResponse,
  RunTaskResponse,
  StreamEventsResponse,
} from "../../gen/spool/v1/task_service_pb.ts";
import { toOutcome } from "./event-message.ts";
import type { TapeFrame } from "./frames.ts";
import { toStatusValue } from "./status.ts";
import { tapeMessage } from "./tape-message.ts";

export const CANCEL_OUTCOMES = {
  cancelled: CancelOutcome.CANCELLED,
  requested: CancelOutcome.REQUESTED,
  already_terminal: CancelOutcome.ALREADY_TERMINAL,
} as const;

export function toTaskMessage(task: SeenTask): TaskMessage {
  const { params, requestId, startedAt, finishedAt, runAt, timeoutMs, cancelRequestedAt } = task;
  const { deadlineAt, attemptDeadlineAt } = task;
  return create(TaskSchema, {
    taskId: task.taskId,
    kind: task.kind,
    status: toStatusValue(task.status),
    paramsDigest: task.paramsDigest,
    labels: { ...task.labels },
    createdAt: timestampFromDate(task.createdAt),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    handovers: task.handovers,
    retryPolicy: retryPolicyFields(task.retryPolicy),
    lastSeq: task.lastSeq,
    awaitsWorker: task.awaitsWorker,
    ...(params && { params }),
    ...(requestId !== null && { requestId }),
    ...(startedAt && { startedAt: timestampFromDate(startedAt) }),
    ...(finishedAt && { finishedAt: timestampFromDate(finishedAt) }),
    ...(runAt && { runAt: timestampFromDate(runAt) }),
    ...(deadlineAt && { deadlineAt: timestampFromDate(deadlineAt) }),
    ...(attemptDeadlineAt && { attemptDeadlineAt: timestampFromDate(attemptDeadlineAt) }),
    ...(timeoutMs !== null && { timeout: durationFromMs(timeoutMs) }),
    ...(cancelRequestedAt && { cancelRequestedAt: timestampFromDate(cancelRequestedAt) }),
  });
}

export function toGetEventsResponse(frame: TapeFrame): GetEventsResponse {
  const { taskId, hasMore } = frame;
  return tapeMessage(GetEventsResponseSchema, frame, { ...positionFields(frame), taskId, hasMore });
}

export function toStreamEventsResponse(frame: TapeFrame): StreamEventsResponse {
  return tapeMessage(StreamEventsResponseSchema, frame, positionFields(frame));
}

export function toRunTaskResponse(frame: TapeFrame): RunTaskResponse {
  return tapeMessage(RunTaskResponseSchema, frame, positionFields(frame));
}

/** The frame that RunTask begins with: the task, and no event. */
export function toRunTaskStart(task: SeenTask, alreadyStarted: boolean): RunTaskResponse {
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

function retryPolicyFields(policy: RetryPolicy): MessageInitShape<typeof RetryPolicySchema> {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = policy;
  const backoff = { initialBackoff: durationFromMs(initialBackoffMs), maxBackoff: durationFromMs(maxBackoffMs) };
  return { ...backoff, backoffMultiplier, jitter };
}

function positionFields({ nextFromSeq, lastSeq, status }: TapePage) {
  return { nextFromSeq, lastSeq, status: toStatusValue(status) };
}
