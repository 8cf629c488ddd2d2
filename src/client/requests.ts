import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { v4 as uuidv4 } from "uuid"; // Browsers have crypto.randomUUID only in secure contexts.
import { measureJson, NotJson } from "../domain/json-size.ts";
import { JSON_DEPTH_MAX, PARAMS_WIRE_BYTES_MAX, PARAMS_VALUES_MAX } from "../domain/limits.ts";
import type { RetryPolicy } from "../gen/spool/v1/task_pb.ts";
import { FollowView } from "../gen/spool/v1/task_service_pb.ts";
import type {
  CreateTaskTokenRequestSchema,
  FollowTasksRequestSchema,
  GetActivityRequestSchema,
  GetEventsRequestSchema,
  ListTasksRequestSchema,
  RunTaskRequestSchema,
  StartTaskRequestSchema,
} from "../gen/spool/v1/task_service_pb.ts";
import type { EventView } from "../domain/series.ts";
import { toEventViewValue } from "../codec/event-view.ts";
import { toRetryPolicyMessage } from "../codec/retry-policy.ts";
import { toScopeValue } from "../codec/scope.ts";
import { toStatusValue } from "../codec/status.ts";
import { invalidArgument, invalidWithin } from "./errors.ts";
import type {
  ActivityRequest,
  RetryPolicyRequest,
  StartRequest,
  TaskFilter,
  TasksToFollow,
  TaskTokenRequest,
} from "./types.ts";

// Converts requests of callers to protobuf messages. The client rejects only values that the encoding cannot carry or
// would silently change. The server checks all other bounds.

export function startRequest(request: StartRequest): MessageInitShape<typeof StartTaskRequestSchema> {
  const {
    kind,
    params = {},
    labels = {},
    timeoutMs,
    maxAttempts = 0,
    retryPolicy,
    runAt,
    deadlineAt,
    retentionMs,
  } = request;
  const requestId = request.requestId || uuidv4(); // Without an id, a repeated start would start a second task.
  checkText("kind", kind);
  checkParams(params);
  checkText("request_id", requestId);
  checkLabels(labels);
  return {
    kind,
    params,
    requestId,
    labels: { ...labels },
    ...(timeoutMs !== undefined && { timeout: duration("timeout", timeoutMs) }),
    maxAttempts: int32("max_attempts", maxAttempts),
    ...(retryPolicy && { retryPolicy: retryPolicyMessage(retryPolicy) }),
    ...(runAt && { runAt: timestamp("run_at", runAt) }),
    ...(deadlineAt && { deadlineAt: timestamp("deadline_at", deadlineAt) }),
    ...(retentionMs !== undefined && { retention: duration("retention", retentionMs) }),
  };
}

export function runRequest(
  request: StartRequest,
  { heartbeatMs, view }: { heartbeatMs: number; view: EventView },
): MessageInitShape<typeof RunTaskRequestSchema> {
  const heartbeatInterval = duration("heartbeat_interval", heartbeatMs);
  try {
    return { start: startRequest(request), heartbeatInterval, view: toEventViewValue(view) };
  } catch (error) {
    throw invalidWithin("start", error);
  }
}

/** Converts the given parts. The server fills in the others. */
export function retryPolicyMessage(policy: RetryPolicyRequest): RetryPolicy {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = policy;
  // In protobuf, 0 means unset.
  if (backoffMultiplier === 0) throw invalidArgument("retry_policy.backoff_multiplier", "must not be 0");
  return toRetryPolicyMessage({
    initialBackoffMs: wholeMs("retry_policy.initial_backoff", initialBackoffMs),
    maxBackoffMs: wholeMs("retry_policy.max_backoff", maxBackoffMs),
    backoffMultiplier,
    jitter,
  });
}

export function listRequest(filter: TaskFilter, pageToken: string): MessageInitShape<typeof ListTasksRequestSchema> {
  const { statuses = [], kinds = [], labels = {}, taskIdPrefix = "", pageSize = 0 } = filter;
  checkKinds(kinds);
  checkLabels(labels);
  checkText("task_id_prefix", taskIdPrefix);
  return {
    statuses: statuses.map((status) => toStatusValue(status)),
    kinds: [...kinds],
    labels: { ...labels },
    taskIdPrefix,
    pageSize: int32("page_size", pageSize),
    pageToken,
  };
}

const VIEWS = { events: FollowView.EVENTS, tasks: FollowView.TASKS } as const;

/** @param cursor the follower's current cursor; empty: none yet */
export function followTasksRequest(
  tasks: TasksToFollow,
  { cursor, heartbeatMs }: { cursor: string; heartbeatMs: number },
): MessageInitShape<typeof FollowTasksRequestSchema> {
  const { kinds = [], labels = {}, fromStart = false, view = "events", intervalMs } = tasks;
  checkKinds(kinds);
  checkLabels(labels);
  return {
    kinds: [...kinds],
    labels: { ...labels },
    cursor,
    fromStart: fromStart && cursor === "",
    view: VIEWS[view],
    heartbeatInterval: duration("heartbeat_interval", heartbeatMs),
    ...(intervalMs !== undefined && { interval: duration("interval", intervalMs) }),
  };
}

export function activityRequest(query: ActivityRequest): MessageInitShape<typeof GetActivityRequestSchema> {
  const { windowMs, stepMs, kinds = [] } = query;
  checkKinds(kinds);
  return {
    ...(windowMs !== undefined && { window: duration("window", windowMs) }),
    ...(stepMs !== undefined && { step: duration("step", stepMs) }),
    kinds: [...kinds],
  };
}

export function eventsRequest(page: {
  taskId: string;
  fromSeq: bigint;
  limit?: number | undefined;
  waitMs: number;
  view?: EventView | undefined;
}): MessageInitShape<typeof GetEventsRequestSchema> {
  const { taskId, fromSeq, limit, waitMs, view = "recorded" } = page;
  return {
    taskId,
    fromSeq: int64("from_seq", fromSeq),
    ...(limit !== undefined && { limit: int32("limit", limit) }),
    wait: duration("wait", waitMs),
    view: toEventViewValue(view),
  };
}

export function taskTokenRequest({
  taskId,
  scopes = [],
  ttlMs,
}: TaskTokenRequest): MessageInitShape<typeof CreateTaskTokenRequestSchema> {
  return {
    taskId,
    scopes: scopes.map(toScopeValue),
    ...(ttlMs !== undefined && { ttl: duration("ttl", ttlMs) }),
  };
}

/** Rejects text that UTF-8 cannot carry: an encoder would replace unpaired surrogates by U+FFFD. */
export function checkText(field: string, text: string): void {
  if (!text.isWellFormed()) throw invalidArgument(field, "must not hold an unpaired surrogate");
}

/** @param ms rounded to whole milliseconds */
export function duration(field: string, ms: number): Duration {
  return durationFromMs(wholeMs(field, ms));
}

function wholeMs<Ms extends number | undefined>(field: string, ms: Ms): Ms {
  if (ms === undefined) return ms;
  if (!Number.isFinite(ms)) throw invalidArgument(field, "must be a finite number of milliseconds");
  return Math.round(ms) as Ms;
}

function timestamp(field: string, time: Date): Timestamp {
  if (Number.isNaN(time.getTime())) throw invalidArgument(field, "must be a valid date");
  return timestampFromDate(time);
}

function int32(field: string, value: number): number {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) return value;
  throw invalidArgument(field, `must be an integer of 32 bits, is ${value}`);
}

export function int64(field: string, value: bigint): bigint {
  if (BigInt.asIntN(64, value) === value) return value;
  throw invalidArgument(field, `must be an integer of 64 bits, is ${value}`);
}

function checkKinds(kinds: readonly string[]): void {
  kinds.forEach((kind, index) => checkText(`kinds[${index}]`, kind));
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    checkText(`labels[${JSON.stringify(key)}]`, key);
    checkText(`labels[${JSON.stringify(key)}]`, value);
  }
}

function checkParams(params: unknown): void {
  if (typeof params !== "object" || params === null || Array.isArray(params)) {
    throw invalidArgument("params", "must be a JSON object");
  }
  let bytes: number;
  try {
    bytes = measureJson(params, JSON_DEPTH_MAX, "params", PARAMS_VALUES_MAX);
  } catch (error) {
    if (error instanceof NotJson) throw invalidArgument(error.path, error.problem);
    throw error;
  }
  // gRPC would reject a message that is too large without naming a field.
  if (bytes > PARAMS_WIRE_BYTES_MAX) {
    throw invalidArgument("params", `must be at most ${PARAMS_WIRE_BYTES_MAX} bytes as protobuf, is ${bytes}`);
  }
}
