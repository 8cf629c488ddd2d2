import { create } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import {
  ATTEMPTS_MAX,
  CANCEL_REASON_CHARS_MAX,
  DEADLINE_AHEAD_MS_MAX,
  HEARTBEAT_MS_DEFAULT,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  LIST_KINDS_MAX,
  LIST_TASKS_DEFAULT,
  LIST_TASKS_MAX,
  PAGE_EVENTS_DEFAULT,
  PAGE_EVENTS_MAX,
  REQUEST_ID_CHARS_MAX,
  RETENTION_MS_MAX,
  RETENTION_MS_MIN,
  RUN_AHEAD_MS_MAX,
  TIMEOUT_MS_MAX,
  TIMEOUT_MS_MIN,
  WAIT_MS_MAX,
} from "../../domain/limits.ts";
import { paramsViolation } from "../../domain/params.ts";
import { RETRY_BOUNDS } from "../../domain/retry.ts";
import type { RetryPolicy } from "../../domain/retry.ts";
import type { EventView } from "../../domain/series.ts";
import type { TaskRequest, TaskStatus } from "../../domain/task.ts";
import type { RetryPolicy as RetryPolicyMessage } from "../../gen/spool/v1/task_pb.ts";
import { StartTaskRequestSchema } from "../../gen/spool/v1/task_service_pb.ts";
import type {
  CancelTaskRequest,
  DeleteTaskRequest,
  GetEventsRequest,
  GetResultRequest,
  GetTaskRequest,
  ListTasksRequest,
  RunTaskRequest,
  StartTaskRequest,
  StreamEventsRequest,
} from "../../gen/spool/v1/task_service_pb.ts";
import { Checks, inWords } from "./checks.ts";
import { decodePageToken } from "../codec/page-token.ts";
import type { ListFilter } from "../codec/page-token.ts";
import { fromEventViewValue } from "../../codec/event-view.ts";
import { fromStatusValue } from "../../codec/status.ts";

// Converts requests to validated, complete domain values. Each function throws InvalidArgument with a violation for
// each field that is out of its bounds, by its proto name.

/** The context of a start. */
export interface StartContext {
  /** Current Unix time in milliseconds: run_at and deadline_at are bounded relative to it. */
  now: number;
  /** The W3C traceparent of the call; null: none. */
  traceparent: string | null;
  /** The name of the principal that calls; null: the server does not authenticate calls. */
  startedBy: string | null;
}

export function parseStartTask(request: StartTaskRequest, context: StartContext): TaskRequest {
  const checks = new Checks();
  return checks.passed(taskRequest(checks, request, context));
}

export function parseRunTask(
  request: RunTaskRequest,
  context: StartContext,
): { task: TaskRequest; heartbeatMs: number; view: EventView } {
  const checks = new Checks();
  const { start = create(StartTaskRequestSchema) } = request;
  return checks.passed({
    task: taskRequest(checks.within("start"), start, context),
    heartbeatMs: heartbeatMs(checks, request),
    view: eventView(checks, request),
  });
}

/** @returns the task id in lower case */
export function parseGetTask({ taskId }: GetTaskRequest): string {
  const checks = new Checks();
  return checks.passed(checks.taskId(taskId));
}

/** @returns the normalized filter, the number of tasks to return, and the last task of the previous page */
export function parseListTasks(request: ListTasksRequest): {
  limit: number;
  beforeTaskId: string | null;
  withProgress: boolean;
  filter: ListFilter;
} {
  const checks = new Checks();
  const limit = checks.integer("page_size", request.pageSize || LIST_TASKS_DEFAULT, [1, LIST_TASKS_MAX]);
  const filter = {
    statuses: statuses(checks, request),
    kinds: kinds(checks, request.kinds),
    labels: checks.labels(request.labels),
    taskIdPrefix: checks.taskIdPrefix("task_id_prefix", request.taskIdPrefix),
  };
  checks.passed(filter); // A token can only be checked with a valid filter.
  const beforeTaskId = request.pageToken === "" ? null : decodePageToken(request.pageToken, filter);
  if (request.pageToken !== "" && beforeTaskId === null) {
    checks.refuse("page_token", "must be a next_page_token of a call with the same filters");
  }
  return checks.passed({ limit, beforeTaskId, withProgress: request.withProgress, filter });
}

export function parseCancelTask(request: CancelTaskRequest): { taskId: string; reason: string } {
  const checks = new Checks();
  return checks.passed({
    taskId: checks.taskId(request.taskId),
    reason: checks.text("reason", request.reason, CANCEL_REASON_CHARS_MAX),
  });
}

/** @returns the task id in lower case */
export function parseDeleteTask({ taskId }: DeleteTaskRequest): string {
  const checks = new Checks();
  return checks.passed(checks.taskId(taskId));
}

export function parseGetEvents(request: GetEventsRequest): {
  taskId: string;
  fromSeq: bigint;
  limit: number;
  waitMs: number;
  view: EventView;
} {
  const checks = new Checks();
  return checks.passed({
    taskId: checks.taskId(request.taskId),
    fromSeq: checks.fromSeq(request.fromSeq),
    limit: checks.integer("limit", request.limit ?? PAGE_EVENTS_DEFAULT, [1, PAGE_EVENTS_MAX]),
    waitMs: waitMs(checks, request),
    view: eventView(checks, request),
  });
}

export function parseStreamEvents(request: StreamEventsRequest): {
  taskId: string;
  fromSeq: bigint;
  heartbeatMs: number;
  view: EventView;
} {
  const checks = new Checks();
  return checks.passed({
    taskId: checks.taskId(request.taskId),
    fromSeq: checks.fromSeq(request.fromSeq),
    heartbeatMs: heartbeatMs(checks, request),
    view: eventView(checks, request),
  });
}

export function parseGetResult(request: GetResultRequest): { taskId: string; waitMs: number } {
  const checks = new Checks();
  return checks.passed({ taskId: checks.taskId(request.taskId), waitMs: waitMs(checks, request) });
}

function taskRequest(checks: Checks, request: StartTaskRequest, context: StartContext): TaskRequest {
  const { timeout, retention } = request;
  return {
    kind: checks.kind("kind", request.kind),
    params: params(checks, request.params ?? {}),
    requestId: requestId(checks, request.requestId),
    labels: checks.labels(request.labels),
    timeoutMs: timeout ? checks.duration("timeout", timeout, [TIMEOUT_MS_MIN, TIMEOUT_MS_MAX]) : null,
    maxAttempts: request.maxAttempts ? checks.integer("max_attempts", request.maxAttempts, [1, ATTEMPTS_MAX]) : null,
    retryPolicy: retryPolicy(checks, "retry_policy", request.retryPolicy),
    ...times(checks, request, context.now),
    retentionMs: retention ? checks.duration("retention", retention, [RETENTION_MS_MIN, RETENTION_MS_MAX]) : null,
    traceparent: context.traceparent,
    startedBy: context.startedBy,
  };
}

function params(checks: Checks, value: JsonObject): JsonObject {
  const violation = paramsViolation(value);
  if (violation !== null) checks.refuse(violation.field, violation.description);
  return value;
}

/**
 * Returns the request id; empty: none. Ids appear in logs and headers, so all control characters are rejected, not only
 * NUL.
 */
function requestId(checks: Checks, text: string): string | null {
  if (text === "") return null;
  if (!/\p{Cc}/u.test(text)) return checks.text("request_id", text, REQUEST_ID_CHARS_MAX);
  checks.refuse("request_id", "must not hold control characters");
  return text;
}

/** Returns the settings of the request only. The kind provides the rest. */
export function retryPolicy(
  checks: Checks,
  field: string,
  message: RetryPolicyMessage | undefined,
): Partial<RetryPolicy> {
  const { initialBackoff, maxBackoff, backoffMultiplier, jitter } = message ?? {};
  const policy: Partial<RetryPolicy> = {};
  if (initialBackoff) {
    policy.initialBackoffMs = checks.duration(
      `${field}.initial_backoff`,
      initialBackoff,
      RETRY_BOUNDS.initialBackoffMs,
    );
  }
  if (maxBackoff) {
    policy.maxBackoffMs = checks.duration(`${field}.max_backoff`, maxBackoff, RETRY_BOUNDS.maxBackoffMs);
  }
  if (backoffMultiplier !== undefined && backoffMultiplier !== 0) {
    const path = `${field}.backoff_multiplier`;
    policy.backoffMultiplier = checks.number(path, backoffMultiplier, RETRY_BOUNDS.backoffMultiplier);
  }
  if (jitter !== undefined) policy.jitter = checks.number(`${field}.jitter`, jitter, RETRY_BOUNDS.jitter);
  return policy;
}

/** Validates run_at and deadline_at. Past times are allowed: a repeated start must return the same task. */
function times(checks: Checks, { runAt, deadlineAt }: StartTaskRequest, now: number) {
  const checked = {
    runAt: timeAhead(checks, "run_at", runAt, { now, aheadMsMax: RUN_AHEAD_MS_MAX }),
    deadlineAt: timeAhead(checks, "deadline_at", deadlineAt, { now, aheadMsMax: DEADLINE_AHEAD_MS_MAX }),
  };
  if (checked.runAt !== null && checked.deadlineAt !== null && checked.deadlineAt <= checked.runAt) {
    checks.refuse("deadline_at", "must be later than run_at");
  }
  return checked;
}

function timeAhead(
  checks: Checks,
  field: string,
  value: Timestamp | undefined,
  { now, aheadMsMax }: { now: number; aheadMsMax: number },
): Date | null {
  const time = value === undefined ? null : checks.timestamp(field, value);
  if (time !== null && time.getTime() > now + aheadMsMax) {
    checks.refuse(field, `must be at most ${inWords(aheadMsMax)} ahead`);
  }
  return time;
}

/** Removes duplicates. */
function statuses(checks: Checks, request: ListTasksRequest): TaskStatus[] {
  const known = request.statuses.flatMap((value, index) => {
    const status = fromStatusValue(value);
    if (status === undefined) checks.refuse(`statuses[${index}]`, "must be a status other than UNSPECIFIED");
    return status ?? [];
  });
  return [...new Set(known)];
}

/** Removes duplicates. */
export function kinds(checks: Checks, names: readonly string[]): string[] {
  if (names.length > LIST_KINDS_MAX) {
    checks.refuse("kinds", `must have at most ${LIST_KINDS_MAX} entries`);
    return [];
  }
  return [...new Set(names.map((kind, index) => checks.kind(`kinds[${index}]`, kind)))];
}

function eventView(checks: Checks, { view }: GetEventsRequest | StreamEventsRequest | RunTaskRequest): EventView {
  const known = fromEventViewValue(view);
  if (known === undefined) checks.refuse("view", "must be RECORDED or FOLDED");
  return known ?? "recorded";
}

function waitMs(checks: Checks, { wait }: GetEventsRequest | GetResultRequest): number {
  return wait ? checks.duration("wait", wait, [0, WAIT_MS_MAX]) : 0;
}

export function heartbeatMs(
  checks: Checks,
  { heartbeatInterval }: { heartbeatInterval?: Duration | undefined },
): number {
  if (heartbeatInterval === undefined) return HEARTBEAT_MS_DEFAULT;
  return checks.duration("heartbeat_interval", heartbeatInterval, [HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX]);
}
