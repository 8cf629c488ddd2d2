import assert from "node:assert/strict";
import { fromCancelTaskResponse, toCancelTaskResponse } from "../../src/codec/cancel.ts";
import { fromLimitsMessage, toLimitsMessage } from "../../src/codec/limits.ts";
import { fromLogLevelValue, toLogLevelValue } from "../../src/codec/log-level.ts";
import { fromRetryPolicyMessage, toRetryPolicyMessage } from "../../src/codec/retry-policy.ts";
import { fromSessionMessage, toSessionMessage } from "../../src/codec/session.ts";
import { fromStatusValue, readTerminalStatus, toStatusValue } from "../../src/codec/status.ts";
import { fromTaskMessage, toTaskMessage } from "../../src/codec/task.ts";
import { fromTokenMessage, toTokenMessage } from "../../src/codec/token.ts";
import { fromGetResultResponse, toGetResultResponse } from "../../src/codec/task-result.ts";
import type { TaskResult } from "../../src/codec/task-result.ts";
import { LOG_LEVELS } from "../../src/domain/event.ts";
import { SCOPES } from "../../src/domain/principal.ts";
import { TASK_STATUSES } from "../../src/domain/task.ts";
import type { TaskView } from "../../src/domain/task.ts";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";

const AT = new Date("2026-05-01T12:00:00.250Z");
const AN_ID = "019a0b1c-0000-7000-8000-000000000001";
const brokenPromise = { name: "SpoolRpcError", code: "DATA_LOSS" };

const BARE: TaskView = {
  taskId: AN_ID,
  kind: "echo",
  status: "pending",
  params: null,
  paramsDigest: "ab".repeat(32),
  labels: {},
  requestId: null,
  createdAt: AT,
  startedAt: null,
  finishedAt: null,
  runAt: null,
  deadlineAt: null,
  attemptDeadlineAt: null,
  timeoutMs: null,
  retentionMs: null,
  attempt: 0,
  maxAttempts: 1,
  handovers: 0,
  retryPolicy: { initialBackoffMs: 1_000, maxBackoffMs: 300_000, backoffMultiplier: 2, jitter: 0 },
  cancelRequestedAt: null,
  startedBy: null,
  cancelledBy: null,
  awaitsWorker: false,
  lastSeq: 0n,
};

const FULL: TaskView = {
  ...BARE,
  status: "cancelled",
  params: { count: 5 },
  labels: { team: "blue" },
  requestId: "a-request",
  startedAt: AT,
  finishedAt: AT,
  runAt: AT,
  deadlineAt: AT,
  attemptDeadlineAt: AT,
  timeoutMs: 1_500,
  retentionMs: 3_153_600_000_000,
  attempt: 2,
  maxAttempts: 3,
  handovers: 4,
  cancelRequestedAt: AT,
  startedBy: "ingest",
  cancelledBy: "ops@example.org",
  awaitsWorker: true,
  lastSeq: 9_007_199_254_740_993n,
};

describe("the codec", () => {
  it("reads back every field of a task", () => {
    for (const task of [BARE, FULL]) assert.deepEqual(fromTaskMessage(toTaskMessage(task)), task);
  });

  it("reads back every status and rejects an unknown one", () => {
    for (const status of TASK_STATUSES) assert.equal(fromStatusValue(toStatusValue(status)), status);
    assert.equal(fromStatusValue(TaskStatus.UNSPECIFIED), undefined);
    assert.throws(() => readTerminalStatus(TaskStatus.RUNNING), brokenPromise);
  });

  it("reads back every log level", () => {
    for (const level of LOG_LEVELS) assert.equal(fromLogLevelValue(toLogLevelValue(level)), level);
  });

  it("omits missing parts of a retry policy, and rejects such a policy in an answer", () => {
    const parts = toRetryPolicyMessage({ initialBackoffMs: 250 });
    assert.equal(parts.maxBackoff, undefined);
    assert.throws(() => fromRetryPolicyMessage(parts), brokenPromise);
  });

  it("reads back every outcome of a cancel", () => {
    for (const outcome of ["cancelled", "requested", "already_terminal"] as const) {
      assert.deepEqual(fromCancelTaskResponse(toCancelTaskResponse({ task: FULL, outcome })), { task: FULL, outcome });
    }
  });

  it("reads back a result and an error", () => {
    const results: TaskResult[] = [
      { taskId: AN_ID, status: "succeeded", startedAt: AT, finishedAt: AT, result: { sum: 3 } },
      { taskId: AN_ID, status: "failed", startedAt: null, finishedAt: AT, error: { reason: "NO", message: "no" } },
    ];
    for (const result of results) assert.deepEqual(fromGetResultResponse(toGetResultResponse(result)), result);
  });

  it("reads back limits, and no limit where none is set", () => {
    const limits = {
      startsPerSecond: 0.5,
      streams: 7,
      pendingTasks: 100,
      runningTasks: 10,
      paramsBytes: 1_024,
      eventsPerTask: 5_000,
      bytesPerTask: 2 ** 40,
      storedBytes: 2 ** 50,
    };
    assert.deepEqual(fromLimitsMessage(toLimitsMessage(limits)), limits);
    assert.deepEqual(fromLimitsMessage(toLimitsMessage({ streams: 1 })), { streams: 1 });
    assert.deepEqual(fromLimitsMessage(undefined), {});
  });

  it("reads back a session", () => {
    const times = { startedAt: AT, seenAt: AT, expiresAt: AT };
    const load = { kinds: ["echo"], capacity: 4, running: 1 };
    const session = { sessionId: AN_ID, host: "a-host", pid: 7, isWorker: true, ...load, ...times };
    assert.deepEqual(fromSessionMessage(toSessionMessage(session)), session);
  });
});

describe("a token", () => {
  it("comes back from its message as it was", () => {
    const grants = { namespaces: ["a*"], scopes: [...SCOPES], kinds: ["echo"], labels: { team: "a" }, taskId: null };
    const named = { tokenId: AN_ID, name: "ingest", createdBy: "root", createdAt: AT };
    for (const token of [
      { ...named, grants, limits: { streams: 3 }, expiresAt: AT, revokedAt: AT },
      { ...named, grants: { ...grants, kinds: ["*"], labels: {} }, limits: {}, expiresAt: null, revokedAt: null },
    ]) {
      assert.deepEqual(fromTokenMessage(toTokenMessage(token)), token);
    }
    assert.throws(() => fromTokenMessage(undefined), brokenPromise);
  });
});
