import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { PARAMS_VALUES_MAX } from "../../../src/domain/limits.ts";
import { RunTaskRequestSchema, StartTaskRequestSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { EventView } from "../../../src/gen/spool/v1/event_pb.ts";
import { parseRunTask, parseStartTask } from "../../../src/rpc/validation/parse.ts";
import { Call, labels, seconds, times } from "./parser-call.ts";

const NOW = Date.UTC(2026, 10, 22);
const NOW_S = NOW / 1_000;
const CONTEXT = { now: NOW, traceparent: null, startedBy: "ingest" };
const DAY_S = 24 * 60 * 60;

const start = new Call(StartTaskRequestSchema, { kind: "echo" }, (request) => parseStartTask(request, CONTEXT));
const run = new Call(RunTaskRequestSchema, { start: { kind: "echo" } }, (request) => parseRunTask(request, CONTEXT));

/** Params with a given size of JSON text, in bytes. */
function paramsOf(bytes: number): JsonObject {
  return { text: "x".repeat(bytes - '{"text":""}'.length) };
}

/** Params with a given nesting depth, including the outermost object. */
function nested(depth: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 1; level < depth; level++) value = { a: value };
  return value;
}

describe("a StartTask request", () => {
  it("is complete with a kind only", () => {
    assert.deepEqual(start.parse(), {
      kind: "echo",
      params: {},
      requestId: null,
      labels: {},
      timeoutMs: null,
      maxAttempts: null,
      retryPolicy: {},
      runAt: null,
      deadlineAt: null,
      retentionMs: null,
      traceparent: null,
      startedBy: "ingest",
    });
  });

  it("keeps the given fields", () => {
    const fields = { params: { a: [1, "\0", null] }, requestId: "r 😀", labels: { "team/a.b": "ünï" }, maxAttempts: 3 };
    const parsed = start.parse({
      ...fields,
      timeout: seconds(2, 500_000_000),
      retryPolicy: {
        initialBackoff: seconds(0, 1_000_001),
        maxBackoff: seconds(60),
        backoffMultiplier: 1.5,
        jitter: 0,
      },
      runAt: seconds(1),
      deadlineAt: seconds(1, 1_000_001),
      retention: seconds(90, 1),
    });
    assert.deepEqual(parsed, {
      kind: "echo",
      ...fields,
      timeoutMs: 2_500,
      retryPolicy: { initialBackoffMs: 2, maxBackoffMs: 60_000, backoffMultiplier: 1.5, jitter: 0 },
      runAt: new Date(1_000),
      deadlineAt: new Date(1_002),
      retentionMs: 90_001,
      traceparent: null,
      startedBy: "ingest",
    });
  });

  it("leaves missing parts of a retry policy to the kind", () => {
    const policyOf = (retryPolicy: object) => start.parse({ retryPolicy }).retryPolicy;
    assert.deepEqual(policyOf({}), {});
    assert.deepEqual(policyOf({ maxBackoff: seconds(1), backoffMultiplier: 0 }), { maxBackoffMs: 1_000 });
    assert.deepEqual(policyOf({ jitter: 0 }), { jitter: 0 });
  });

  it("keeps keys with a meaning in JavaScript, without effect", () => {
    const fields = { labels: '{"__proto__":"l"}', params: '{"__proto__":{"polluted":1},"constructor":{"toString":2}}' };
    const parsed = start.parse({
      labels: JSON.parse(fields.labels) as Record<string, string>,
      params: JSON.parse(fields.params) as JsonObject,
    });
    assert.equal(JSON.stringify(parsed.labels), fields.labels);
    assert.equal(JSON.stringify(parsed.params), fields.params);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  it("has all its violations reported together", () => {
    const violations = start.refused({
      kind: "",
      labels: { "a b": "\0" },
      timeout: seconds(0),
      maxAttempts: 101,
      retryPolicy: { initialBackoff: seconds(-1), maxBackoff: seconds(0), backoffMultiplier: -1, jitter: 2 },
      runAt: seconds(0, -1),
      deadlineAt: seconds(0, -1),
    });
    const policy = ["initial_backoff", "max_backoff", "backoff_multiplier", "jitter"].map((it) => `retry_policy.${it}`);
    const labelled = ['labels["a b"]', 'labels["a b"]'];
    assert.deepEqual(
      violations.map(({ field }) => field),
      ["kind", ...labelled, "timeout", "max_attempts", ...policy, "run_at", "deadline_at"],
    );
  });

  start.accepts("a kind of 128 characters", { kind: "k".repeat(128) });
  start.refuses("a kind of 129", { kind: "k".repeat(129) }, "kind", /1 to 128 characters/);
  start.refuses("an empty kind", { kind: "" }, "kind", /1 to 128 characters/);
  start.refuses("a kind with a space", { kind: "a b" }, "kind", /A-Za-z0-9/);
  start.refuses("a kind with NUL", { kind: "a\0" }, "kind", /A-Za-z0-9/);
  start.refuses("a kind with a line break", { kind: "a\n" }, "kind", /A-Za-z0-9/);

  start.accepts("a request_id of 256 characters", { requestId: "😀".repeat(256) });
  start.refuses(
    "a request_id of 257 characters",
    { requestId: "😀".repeat(257) },
    "request_id",
    /at most 256 characters/,
  );
  start.refuses("a very long request_id", { requestId: "x".repeat(100_000) }, "request_id", /at most 256 characters/);
  start.refuses("a request_id with NUL", { requestId: "a\0b" }, "request_id", /control characters/);
  start.refuses("a request_id with a line break", { requestId: "a\nb" }, "request_id", /control characters/);
  start.refuses("a request_id with an unpaired surrogate", { requestId: "a\ud800" }, "request_id", /surrogate/);

  start.accepts("32 labels", { labels: labels(32) });
  start.refuses("33 labels", { labels: labels(33) }, "labels", /at most 32/);
  start.accepts("a label's key of 63 characters", { labels: { ["k".repeat(63)]: "" } });
  start.refuses(
    "a label's key of 64 characters",
    { labels: { ["k".repeat(64)]: "" } },
    `labels["${"k".repeat(64)}"]`,
    /1 to 63/,
  );
  start.refuses("an empty label key", { labels: { "": "v" } }, 'labels[""]', /1 to 63/);
  start.refuses("a label's key with a space", { labels: { "a b": "" } }, 'labels["a b"]', /A-Za-z0-9/);
  start.accepts("a label's value of 255 characters", { labels: { a: "é".repeat(255) } });
  start.refuses(
    "a label's value of 256 characters",
    { labels: { a: "é".repeat(256) } },
    'labels["a"]',
    /at most 255 characters/,
  );
  start.refuses("a label's value with NUL", { labels: { a: "\0" } }, 'labels["a"]', /NUL/);
  start.refuses("a label's value with an unpaired surrogate", { labels: { a: "\udc00" } }, 'labels["a"]', /surrogate/);

  start.accepts("params of 1 MiB as JSON", { params: paramsOf(1_048_576) });
  start.refuses(
    "params of 1 MiB and 1 byte as JSON",
    { params: paramsOf(1_048_577) },
    "params",
    /1,048,576 bytes as JSON/,
  );
  const escaped = { text: "\0".repeat(200_000) };
  start.refuses("params that escapes make larger than 1 MiB", { params: escaped }, "params", /1,048,576 bytes as JSON/);
  // The object and the list are values too.
  start.accepts("params of 20,000 values", { params: { list: times(PARAMS_VALUES_MAX - 2, 0) } });
  start.refuses(
    "params of 20,001 values",
    { params: { list: times(PARAMS_VALUES_MAX - 1, 0) } },
    "params",
    /20,000 values/,
  );
  start.accepts("params that nest 32 deep", { params: nested(32) });
  start.refuses("params that nest 33 deep", { params: nested(33) }, `params${".a".repeat(32)}`, /at most 32 deep/);
  start.refuses("an infinite number", { params: { a: [Infinity] } }, "params.a[0]", /finite/);
  start.refuses("an unpaired surrogate in params", { params: { a: "\ud800" } }, "params.a", /surrogate/);

  start.accepts("a timeout of 1 ms", { timeout: seconds(0, 1_000_000) });
  start.refuses("a timeout 1 ns below 1 ms", { timeout: seconds(0, 999_999) }, "timeout", /1 ms to 30 days/);
  start.refuses("a timeout of 0", { timeout: seconds(0) }, "timeout", /1 ms to 30 days/);
  start.refuses("a negative timeout", { timeout: seconds(-1) }, "timeout", /1 ms to 30 days/);
  start.accepts("a timeout of 30 days", { timeout: seconds(30 * DAY_S) });
  start.refuses("a timeout 1 ns above 30 days", { timeout: seconds(30 * DAY_S, 1) }, "timeout", /1 ms to 30 days/);
  start.refuses(
    "a timeout with nanos of a whole second",
    { timeout: seconds(1, 1_000_000_000) },
    "timeout",
    /1 ms to 30 days/,
  );
  start.refuses("a timeout with parts of different signs", { timeout: seconds(2, -1) }, "timeout", /1 ms to 30 days/);
  it("rounds a timeout up to the millisecond", () => {
    assert.equal(start.parse({ timeout: seconds(0, 1_000_001) }).timeoutMs, 2);
  });

  start.accepts("100 attempts", { maxAttempts: 100 });
  start.refuses("101 attempts", { maxAttempts: 101 }, "max_attempts", /1 to 100/);
  start.refuses("-1 attempts", { maxAttempts: -1 }, "max_attempts", /1 to 100/);

  for (const [name, field] of [
    ["initialBackoff", "retry_policy.initial_backoff"],
    ["maxBackoff", "retry_policy.max_backoff"],
  ] as const) {
    const backoff = (duration: ReturnType<typeof seconds>) => ({ retryPolicy: { [name]: duration } });
    start.accepts(`a ${field} of 1 ms`, backoff(seconds(0, 1_000_000)));
    start.refuses(`a ${field} below 1 ms`, backoff(seconds(0, 999_999)), field, /1 ms to 30 days/);
    start.accepts(`a ${field} of 30 days`, backoff(seconds(30 * DAY_S)));
    start.refuses(`a ${field} above 30 days`, backoff(seconds(30 * DAY_S, 1)), field, /1 ms to 30 days/);
  }

  const MULTIPLIER = "retry_policy.backoff_multiplier";
  for (const backoffMultiplier of [1, 1.5, 100]) {
    start.accepts(`a multiplier of ${backoffMultiplier}`, { retryPolicy: { backoffMultiplier } });
  }
  for (const backoffMultiplier of [1 - Number.EPSILON, 100.000_1, -1, NaN, Infinity, -Infinity]) {
    start.refuses(
      `a multiplier of ${backoffMultiplier}`,
      { retryPolicy: { backoffMultiplier } },
      MULTIPLIER,
      /1 to 100/,
    );
  }

  for (const jitter of [0, 0.5, 1]) start.accepts(`a jitter of ${jitter}`, { retryPolicy: { jitter } });
  for (const jitter of [-Number.MIN_VALUE, 1 + Number.EPSILON, NaN, Infinity, -Infinity]) {
    start.refuses(`a jitter of ${jitter}`, { retryPolicy: { jitter } }, "retry_policy.jitter", /0 to 1/);
  }

  start.accepts("a run_at 366 days ahead", { runAt: seconds(NOW_S + 366 * DAY_S) });
  start.refuses("a run_at 1 ns later", { runAt: seconds(NOW_S + 366 * DAY_S, 1) }, "run_at", /at most 366 days ahead/);
  start.accepts("a run_at in the past", { runAt: seconds(-62_135_596_800) });
  start.refuses("a run_at before the year 1", { runAt: seconds(-62_135_596_801) }, "run_at", /years 1 to 9999/);
  start.refuses("a run_at with negative nanos", { runAt: seconds(0, -1) }, "run_at", /nanos from 0/);

  start.accepts("a retention of 1 s", { retention: seconds(1) });
  start.accepts("a retention of 36,500 days", { retention: seconds(36_500 * DAY_S) });
  for (const beyond of [seconds(0, 999_999_999), seconds(36_500 * DAY_S, 1)]) {
    start.refuses(
      `a retention of ${beyond.seconds} s and ${beyond.nanos} ns`,
      { retention: beyond },
      "retention",
      /1 s to 36,500 days/,
    );
  }

  const furthest = NOW_S + 732 * DAY_S;
  start.accepts("a deadline_at 732 days ahead", { deadlineAt: seconds(furthest) });
  start.refuses(
    "a deadline_at 1 ns later",
    { deadlineAt: seconds(furthest, 1) },
    "deadline_at",
    /at most 732 days ahead/,
  );
  start.accepts("a deadline_at in the past", { deadlineAt: seconds(-62_135_596_800) });
  start.refuses(
    "a deadline_at after the year 9999",
    { deadlineAt: seconds(253_402_300_800) },
    "deadline_at",
    /years 1 to 9999/,
  );
  const runAt = seconds(NOW_S + 60);
  start.accepts("a deadline_at 1 ms past its run_at", { runAt, deadlineAt: seconds(NOW_S + 60, 1_000_000) });
  start.refuses("a deadline_at at its run_at", { runAt, deadlineAt: runAt }, "deadline_at", /later than run_at/);
  start.refuses(
    "a deadline_at before its run_at",
    { runAt, deadlineAt: seconds(0) },
    "deadline_at",
    /later than run_at/,
  );
  start.refuses(
    "an invalid run_at, without comparing it with deadline_at",
    { runAt: seconds(0, -1), deadlineAt: seconds(-1) },
    "run_at",
    /years/,
  );
});

describe("a RunTask request", () => {
  it("has a heartbeat of 15 s by default", () => {
    assert.equal(run.parse().heartbeatMs, 15_000);
    assert.equal(run.parse().view, "recorded");
    assert.equal(run.parse({ view: EventView.FOLDED }).view, "folded");
    assert.deepEqual(
      run.refused({ view: 3 as never }).map(({ field }) => field),
      ["view"],
    );
  });

  it("accepts the retry policy and the deadline of a start", () => {
    const { task } = run.parse({
      start: { kind: "echo", retryPolicy: { jitter: 1 }, deadlineAt: seconds(NOW_S) },
    });
    assert.deepEqual([task.retryPolicy, task.deadlineAt], [{ jitter: 1 }, new Date(NOW)]);
  });

  it("has violations of the task and the heartbeat reported together", () => {
    const violations = run.refused({ start: { kind: "", labels: { "": "" } }, heartbeatInterval: seconds(61) });
    assert.deepEqual(
      violations.map(({ field }) => field),
      ["start.kind", 'start.labels[""]', "heartbeat_interval"],
    );
  });
});
