import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { LogLevel, TaskFailure } from "../domain/event.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import { isTerminal } from "../domain/task.ts";
import type { TaskStatus, TerminalStatus } from "../domain/task.ts";
import { LogLevel as LogLevelCode } from "../gen/spool/v1/event_pb.ts";
import type { Event, Final, Progress as ProgressMessage } from "../gen/spool/v1/event_pb.ts";
import { TaskStatus as StatusCode } from "../gen/spool/v1/task_pb.ts";
import type { RetryPolicy as RetryPolicyMessage, TaskError, Task as TaskMessage } from "../gen/spool/v1/task_pb.ts";
import { CancelOutcome as OutcomeCode } from "../gen/spool/v1/task_service_pb.ts";
import type {
  CancelTaskResponse,
  FollowedTask as FollowedTaskMessage,
  FollowTasksResponse,
  GetEventsResponse,
  GetResultResponse,
  StreamEventsResponse,
} from "../gen/spool/v1/task_service_pb.ts";
import type { Session as SessionMessage } from "../gen/spool/v1/worker_service_pb.ts";
import { brokenPromise } from "./errors.ts";
import type {
  CancelledTask,
  CancelOutcome,
  EventPage,
  FinalEvent,
  FollowedTask,
  Frame,
  Progress,
  Session,
  SpoolEvent,
  Task,
  TaskResult,
  TasksFrame,
} from "./types.ts";

/** A message that carries a stretch of a tape, with its events read and not in it. */
export interface TapeAnswer<Message> {
  message: Message;
  events: SpoolEvent[];
}

// Messages of the wire to the plain objects that callers get.

export const STATUS_CODES = {
  pending: StatusCode.PENDING,
  running: StatusCode.RUNNING,
  succeeded: StatusCode.SUCCEEDED,
  failed: StatusCode.FAILED,
  cancelled: StatusCode.CANCELLED,
} as const satisfies Record<TaskStatus, StatusCode>;

const STATUSES = new Map<StatusCode, TaskStatus>(
  Object.entries(STATUS_CODES).map(([status, code]) => [code, status as TaskStatus]),
);

export const LOG_LEVELS: ReadonlyMap<LogLevelCode, LogLevel> = new Map<LogLevelCode, LogLevel>([
  [LogLevelCode.DEBUG, "DEBUG"],
  [LogLevelCode.INFO, "INFO"],
  [LogLevelCode.WARN, "WARN"],
  [LogLevelCode.ERROR, "ERROR"],
]);

const CANCEL_OUTCOMES = new Map<OutcomeCode, CancelOutcome>([
  [OutcomeCode.CANCELLED, "cancelled"],
  [OutcomeCode.REQUESTED, "requested"],
  [OutcomeCode.ALREADY_TERMINAL, "already_terminal"],
]);

export function toTask(message: TaskMessage | undefined): Task {
  if (!message) throw brokenPromise("the answer holds no task");
  return {
    taskId: message.taskId,
    kind: message.kind,
    status: toStatus(message.status),
    params: message.params ?? null,
    paramsDigest: message.paramsDigest,
    labels: message.labels,
    requestId: message.requestId === "" ? null : message.requestId,
    createdAt: toDate(message.createdAt, "created_at"),
    startedAt: toDateOrNull(message.startedAt),
    finishedAt: toDateOrNull(message.finishedAt),
    runAt: toDateOrNull(message.runAt),
    deadlineAt: toDateOrNull(message.deadlineAt),
    attemptDeadlineAt: toDateOrNull(message.attemptDeadlineAt),
    timeoutMs: message.timeout ? durationMs(message.timeout) : null,
    attempt: message.attempt,
    maxAttempts: message.maxAttempts,
    handovers: message.handovers,
    retryPolicy: toRetryPolicy(message.retryPolicy),
    cancelRequestedAt: toDateOrNull(message.cancelRequestedAt),
    awaitsWorker: message.awaitsWorker,
    lastSeq: message.lastSeq,
  };
}

export function toSession({
  sessionId,
  host,
  pid,
  kinds,
  capacity,
  running,
  isWorker,
  ...times
}: SessionMessage): Session {
  return {
    sessionId,
    host,
    pid,
    kinds,
    capacity,
    running,
    isWorker,
    startedAt: toDate(times.startedAt, "started_at"),
    seenAt: toDate(times.seenAt, "seen_at"),
    expiresAt: toDate(times.expiresAt, "expires_at"),
  };
}

function toRetryPolicy(message: RetryPolicyMessage | undefined): RetryPolicy {
  const { initialBackoff, maxBackoff, backoffMultiplier = 0, jitter } = message ?? {};
  if (!initialBackoff || !maxBackoff || backoffMultiplier === 0 || jitter === undefined) {
    throw brokenPromise("the answer holds no whole retry policy");
  }
  return {
    initialBackoffMs: durationMs(initialBackoff),
    maxBackoffMs: durationMs(maxBackoff),
    backoffMultiplier,
    jitter,
  };
}

export function toFrame({ message, events }: TapeAnswer<Pick<StreamEventsResponse, "lastSeq" | "status">>): Frame {
  return { events, lastSeq: message.lastSeq, status: toStatus(message.status) };
}

export function toEventPage({ message, events }: TapeAnswer<GetEventsResponse>): EventPage {
  return {
    taskId: message.taskId,
    events,
    nextFromSeq: message.nextFromSeq,
    lastSeq: message.lastSeq,
    status: toStatus(message.status),
    hasMore: message.hasMore,
  };
}

export function toEvent({ seq, time: recorded, body }: Event): SpoolEvent {
  const time = toDate(recorded, "time");
  switch (body.case) {
    case "started":
      return { seq, time, type: "started", kind: body.value.kind, attempt: body.value.attempt };
    case "progress":
      return { seq, time, type: "progress", ...toProgress(body.value) };
    case "log":
      // A level that this client does not know is no reason to lose the line.
      return { seq, time, type: "log", level: LOG_LEVELS.get(body.value.level) ?? "INFO", message: body.value.message };
    case "partial":
      return { seq, time, type: "partial", kind: body.value.kind, payload: body.value.payload ?? {} };
    case "cancelRequested":
      return { seq, time, type: "cancel_requested", reason: body.value.reason };
    case "retrying": {
      const { error, nextAttemptAt } = body.value;
      return {
        seq,
        time,
        type: "retrying",
        error: toFailure(error),
        nextAttemptAt: toDate(nextAttemptAt, "next_attempt_at"),
      };
    }
    case "final":
      return toFinal(seq, time, body.value);
    case undefined:
      return { seq, time, type: "unknown" };
  }
}

export function toProgress({ phase, current, total, detail }: ProgressMessage): Progress {
  return { phase, current: Number(current), total: Number(total), ...(detail && { detail }) };
}

export function toTasksFrame({ tasks, nextCursor }: FollowTasksResponse): TasksFrame {
  return { tasks: tasks.map(toFollowedTask), cursor: nextCursor };
}

function toFollowedTask({ taskId, kind, events, task, progress }: FollowedTaskMessage): FollowedTask {
  const state = { task: task ? toTask(task) : null, progress: progress ? toProgress(progress) : null };
  return { taskId, kind, events: events.map(toEvent), ...state };
}

function toFinal(seq: bigint, time: Date, { status, outcome }: Final): FinalEvent {
  const head = { seq, time, type: "final" as const, status: toTerminalStatus(status) };
  return { ...head, ...toOutcome(outcome) };
}

export function toResult(message: GetResultResponse): TaskResult {
  return {
    taskId: message.taskId,
    status: toTerminalStatus(message.status),
    startedAt: toDateOrNull(message.startedAt),
    finishedAt: toDate(message.finishedAt, "finished_at"),
    ...toOutcome(message.outcome),
  };
}

export function toCancelledTask({ task, outcome }: CancelTaskResponse): CancelledTask {
  const known = CANCEL_OUTCOMES.get(outcome);
  if (!known) throw brokenPromise(`the answer holds cancel outcome ${outcome}, which this client does not know`);
  return { task: toTask(task), outcome: known };
}

function toOutcome(outcome: Final["outcome"] | GetResultResponse["outcome"]): Pick<TaskResult, "result" | "error"> {
  switch (outcome.case) {
    case "result":
      return { result: outcome.value };
    case "error":
      return { error: toFailure(outcome.value) };
    case undefined:
      return {};
  }
}

function toFailure(error: TaskError | undefined): TaskFailure {
  if (!error) throw brokenPromise("the answer holds a failure without its error");
  return { reason: error.reason, message: error.message, ...(error.details && { details: error.details }) };
}

function toStatus(code: StatusCode): TaskStatus {
  const status = STATUSES.get(code);
  if (!status) throw brokenPromise(`the answer holds task status ${code}, which this client does not know`);
  return status;
}

function toTerminalStatus(code: StatusCode): TerminalStatus {
  const status = toStatus(code);
  if (!isTerminal(status)) throw brokenPromise(`the answer holds an outcome with status ${status}`);
  return status;
}

export function toDate(time: Timestamp | undefined, field: string): Date {
  if (!time) throw brokenPromise(`the answer holds no ${field}`);
  return timestampDate(time);
}

function toDateOrNull(time: Timestamp | undefined): Date | null {
  return time ? timestampDate(time) : null;
}
