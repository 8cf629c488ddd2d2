import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import {
  CancelTaskRequestSchema,
  GetEventsRequestSchema,
  GetResultRequestSchema,
  GetTaskRequestSchema,
  ListTasksRequestSchema,
  RunTaskRequestSchema,
  StartTaskRequestSchema,
  StreamEventsRequestSchema,
} from "../../src/gen/spool/v1/task_service_pb.ts";
import { encodePageToken } from "../../src/rpc/page-token.ts";
import {
  parseCancelTask,
  parseGetEvents,
  parseGetResult,
  parseGetTask,
  parseListTasks,
  parseRunTask,
  parseStartTask,
  parseStreamEvents,
} from "../../src/rpc/parse.ts";
import { Call } from "./parser-call.ts";

const NOW = Date.UTC(2026, 10, 22);
const DAY_S = 24 * 60 * 60;
const TASK_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";

const start = new Call(StartTaskRequestSchema, { kind: "echo" }, (request) => parseStartTask(request, NOW));
const run = new Call(RunTaskRequestSchema, { kind: "echo" }, (request) => parseRunTask(request, NOW));
const get = new Call(GetTaskRequestSchema, { taskId: TASK_ID }, parseGetTask);
const list = new Call(ListTasksRequestSchema, {}, parseListTasks);
const cancel = new Call(CancelTaskRequestSchema, { taskId: TASK_ID }, parseCancelTask);
const events = new Call(GetEventsRequestSchema, { taskId: TASK_ID }, parseGetEvents);
const stream = new Call(StreamEventsRequestSchema, { taskId: TASK_ID }, parseStreamEvents);
const result = new Call(GetResultRequestSchema, { taskId: TASK_ID }, parseGetResult);

function seconds(count: number, nanos = 0) {
  return { seconds: BigInt(count), nanos };
}

function times<Value>(count: number, value: Value): Value[] {
  return Array.from({ length: count }, () => value);
}

/** So many labels, each of them valid. */
function labels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, "value"]));
}

/** Params whose JSON text has so many bytes. */
function paramsOf(bytes: number): JsonObject {
  return { text: "x".repeat(bytes - '{"text":""}'.length) };
}

/** Params whose values nest so deep, the object that they are included. */
function nested(depth: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 1; level < depth; level++) value = { a: value };
  return value;
}

describe("a StartTask request", () => {
  it("is complete when only the kind is given", () => {
    assert.deepEqual(start.parse(), {
      kind: "echo",
      params: {},
      requestId: null,
      labels: {},
      timeoutMs: null,
      maxAttempts: 1,
      runAt: null,
    });
  });

  it("keeps what is given", () => {
    const fields = { params: { a: [1, "\0", null] }, requestId: "r 😀", labels: { "team/a.b": "ünï" } };
    const parsed = start.parse({ ...fields, timeout: seconds(2, 500_000_000), maxAttempts: 3, runAt: seconds(1) });
    assert.deepEqual(parsed, { kind: "echo", ...fields, timeoutMs: 2_500, maxAttempts: 3, runAt: new Date(1_000) });
  });

  it("keeps keys that mean something to JavaScript, and lets them change nothing", () => {
    const fields = { labels: '{"__proto__":"l"}', params: '{"__proto__":{"polluted":1},"constructor":{"toString":2}}' };
    const parsed = start.parse({
      labels: JSON.parse(fields.labels) as Record<string, string>,
      params: JSON.parse(fields.params) as JsonObject,
    });
    assert.equal(JSON.stringify(parsed.labels), fields.labels);
    assert.equal(JSON.stringify(parsed.params), fields.params);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  it("is told everything that is wrong at once", () => {
    const violations = start.refused({ kind: "", labels: { "a b": "\0" }, timeout: seconds(0), maxAttempts: 101 });
    assert.deepEqual(
      violations.map(({ field }) => field),
      ["kind", 'labels["a b"]', 'labels["a b"]', "timeout", "max_attempts"],
    );
  });

  start.accepts("a kind of 128 characters", { kind: "k".repeat(128) });
  start.refuses("a kind of 129", { kind: "k".repeat(129) }, "kind", /1 to 128 characters/);
  start.refuses("no kind", { kind: "" }, "kind", /1 to 128 characters/);
  start.refuses("a kind with a space", { kind: "a b" }, "kind", /A-Za-z0-9/);
  start.refuses("a kind with NUL", { kind: "a\0" }, "kind", /A-Za-z0-9/);
  start.refuses("a kind that ends in a line", { kind: "a\n" }, "kind", /A-Za-z0-9/);

  start.accepts("a request_id of 256 characters", { requestId: "😀".repeat(256) });
  start.refuses("one of 257", { requestId: "😀".repeat(257) }, "request_id", /at most 256 characters/);
  start.refuses("a very long one", { requestId: "x".repeat(100_000) }, "request_id", /at most 256 characters/);
  start.refuses("one with NUL", { requestId: "a\0b" }, "request_id", /control characters/);
  start.refuses("one with a line end", { requestId: "a\nb" }, "request_id", /control characters/);
  start.refuses("one with half a character", { requestId: "a\ud800" }, "request_id", /surrogate/);

  start.accepts("32 labels", { labels: labels(32) });
  start.refuses("33 labels", { labels: labels(33) }, "labels", /at most 32/);
  start.accepts("a label's key of 63 characters", { labels: { ["k".repeat(63)]: "" } });
  start.refuses("one of 64", { labels: { ["k".repeat(64)]: "" } }, `labels["${"k".repeat(64)}"]`, /1 to 63/);
  start.refuses("an empty one", { labels: { "": "v" } }, 'labels[""]', /1 to 63/);
  start.refuses("one with a space", { labels: { "a b": "" } }, 'labels["a b"]', /A-Za-z0-9/);
  start.accepts("a label's value of 255 characters", { labels: { a: "é".repeat(255) } });
  start.refuses("one of 256", { labels: { a: "é".repeat(256) } }, 'labels["a"]', /at most 255 characters/);
  start.refuses("one with NUL", { labels: { a: "\0" } }, 'labels["a"]', /NUL/);
  start.refuses("one with half a character", { labels: { a: "\udc00" } }, 'labels["a"]', /surrogate/);

  start.accepts("params of 1 MiB as JSON", { params: paramsOf(1_048_576) });
  start.refuses("one byte more", { params: paramsOf(1_048_577) }, "params", /1,048,576 bytes as JSON/);
  const escaped = { text: "\0".repeat(200_000) };
  start.refuses("params whose escapes pass it", { params: escaped }, "params", /1,048,576 bytes as JSON/);
  const numbers = { list: times(400_000, 0) };
  start.refuses("params that pass 3 MiB as protobuf", { params: numbers }, "params", /3,145,728 bytes as protobuf/);
  start.accepts("params that nest 32 deep", { params: nested(32) });
  start.refuses("params that nest 33 deep", { params: nested(33) }, `params${".a".repeat(32)}`, /at most 32 deep/);
  start.refuses("an infinite number", { params: { a: [Infinity] } }, "params.a[0]", /finite/);
  start.refuses("half a character in params", { params: { a: "\ud800" } }, "params.a", /surrogate/);

  start.accepts("a timeout of 1 ms", { timeout: seconds(0, 1_000_000) });
  start.refuses("one of a nanosecond less", { timeout: seconds(0, 999_999) }, "timeout", /1 ms to 30 days/);
  start.refuses("one of none", { timeout: seconds(0) }, "timeout", /1 ms to 30 days/);
  start.refuses("a negative one", { timeout: seconds(-1) }, "timeout", /1 ms to 30 days/);
  start.accepts("a timeout of 30 days", { timeout: seconds(30 * DAY_S) });
  start.refuses("a nanosecond more", { timeout: seconds(30 * DAY_S, 1) }, "timeout", /1 ms to 30 days/);
  start.refuses("nanos past a second", { timeout: seconds(1, 1_000_000_000) }, "timeout", /1 ms to 30 days/);
  start.refuses("parts of two signs", { timeout: seconds(2, -1) }, "timeout", /1 ms to 30 days/);
  it("rounds a timeout up to the millisecond", () => {
    assert.equal(start.parse({ timeout: seconds(0, 1_000_001) }).timeoutMs, 2);
  });

  start.accepts("100 attempts", { maxAttempts: 100 });
  start.refuses("101 attempts", { maxAttempts: 101 }, "max_attempts", /1 to 100/);
  start.refuses("-1 attempts", { maxAttempts: -1 }, "max_attempts", /1 to 100/);

  const nowS = NOW / 1_000;
  start.accepts("a run_at 366 days ahead", { runAt: seconds(nowS + 366 * DAY_S) });
  start.refuses("a nanosecond more", { runAt: seconds(nowS + 366 * DAY_S, 1) }, "run_at", /at most 366 days ahead/);
  start.accepts("a run_at of the past", { runAt: seconds(-62_135_596_800) });
  start.refuses("one before the year 1", { runAt: seconds(-62_135_596_801) }, "run_at", /years 1 to 9999/);
  start.refuses("negative nanos", { runAt: seconds(0, -1) }, "run_at", /nanos from 0/);
});

describe("a RunTask request", () => {
  it("has a heartbeat of 15 s where none is asked for", () => {
    assert.equal(run.parse().heartbeatMs, 15_000);
  });

  it("is told what is wrong with the task and the heartbeat at once", () => {
    const violations = run.refused({ kind: "", heartbeatInterval: seconds(61) });
    assert.deepEqual(
      violations.map(({ field }) => field),
      ["kind", "heartbeat_interval"],
    );
  });
});

describe("a task_id", () => {
  it("is taken in any case and given in lower case", () => {
    assert.equal(get.parse({ taskId: TASK_ID.toUpperCase() }), TASK_ID);
  });

  const MALFORMED = ["", "x", TASK_ID.replaceAll("-", ""), `{${TASK_ID}}`, `${TASK_ID} `, `${TASK_ID.slice(1)}g`];
  for (const taskId of MALFORMED) get.refuses(JSON.stringify(taskId), { taskId }, "task_id", /UUID/);
  for (const call of [cancel, events, stream, result]) {
    it(`is checked in a ${call.desc.name}`, () => {
      assert.equal((call as typeof cancel).refused({ taskId: "x" })[0]!.field, "task_id");
    });
  }
});

describe("a ListTasks request", () => {
  it("asks for 100 tasks of any sort from the newest where nothing is said", () => {
    const filter = { statuses: [], kinds: [], labels: {} };
    assert.deepEqual(list.parse(), { limit: 100, beforeTaskId: null, filter });
  });

  it("names each status and kind once", () => {
    const { filter } = list.parse({ statuses: [2, 1, 2], kinds: ["b", "a", "b"] });
    assert.deepEqual(
      [filter.statuses, filter.kinds],
      [
        ["running", "pending"],
        ["b", "a"],
      ],
    );
  });

  list.accepts("a page_size of 1", { pageSize: 1 });
  list.accepts("a page_size of 1,000", { pageSize: 1_000 });
  list.refuses("1,001", { pageSize: 1_001 }, "page_size", /1 to 1,000/);
  list.refuses("-1", { pageSize: -1 }, "page_size", /1 to 1,000/);
  list.refuses("an unspecified status", { statuses: [1, 0] }, "statuses[1]", /other than UNSPECIFIED/);
  list.refuses("a status that does not exist", { statuses: [99 as never] }, "statuses[0]", /status/);
  list.accepts("100 kinds", { kinds: times(100, "k") });
  list.refuses("101 kinds", { kinds: times(101, "k") }, "kinds", /at most 100/);
  list.refuses("a kind that can be none", { kinds: ["a", "a b"] }, "kinds[1]", /A-Za-z0-9/);
  list.refuses("33 labels", { labels: labels(33) }, "labels", /at most 32/);
  list.refuses("a made-up token", { pageToken: "page2" }, "page_token", /next_page_token/);

  it("goes on after the task that its token names", () => {
    const pageToken = encodePageToken(TASK_ID, { statuses: ["failed"], kinds: [], labels: {} });
    assert.equal(list.parse({ pageToken, statuses: [4] }).beforeTaskId, TASK_ID);
  });

  it("refuses the token of a list with other filters", () => {
    const pageToken = encodePageToken(TASK_ID, { statuses: ["failed"], kinds: [], labels: {} });
    assert.equal(list.refused({ pageToken, statuses: [5] })[0]!.field, "page_token");
  });

  it("keeps no more than 100 of a flood of violations", () => {
    assert.equal(list.refused({ statuses: times(10_000, 0) }).length, 100);
  });
});

describe("a CancelTask request", () => {
  cancel.accepts("a reason of 1,024 characters", { reason: "ü".repeat(1_024) });
  cancel.refuses("one of 1,025", { reason: "ü".repeat(1_025) }, "reason", /at most 1,024 characters/);
  cancel.refuses("one with NUL", { reason: "a\0" }, "reason", /NUL/);
});

describe("a GetEvents request", () => {
  it("reads 100 events from the first, without waiting, where nothing is said", () => {
    assert.deepEqual(events.parse(), { taskId: TASK_ID, fromSeq: 1n, limit: 100, waitMs: 0 });
  });

  events.refuses("a limit of 0", { limit: 0 }, "limit", /1 to 1,000/);
  events.accepts("a limit of 1", { limit: 1 });
  events.accepts("a limit of 1,000", { limit: 1_000 });
  events.refuses("a limit of 1,001", { limit: 1_001 }, "limit", /1 to 1,000/);
  events.refuses("a limit of -1", { limit: -1 }, "limit", /1 to 1,000/);
  events.refuses("a from_seq of -1", { fromSeq: -1n }, "from_seq", /0 or more/);
  events.accepts("the last from_seq that there is", { fromSeq: 2n ** 63n - 1n });
  events.accepts("a wait of 0", { wait: seconds(0) });
  events.accepts("a wait of 60 s", { wait: seconds(60) });
  events.refuses("a nanosecond more", { wait: seconds(60, 1) }, "wait", /0 s to 60 s/);
  events.refuses("a negative wait", { wait: seconds(0, -1) }, "wait", /0 s to 60 s/);
});

describe("a StreamEvents request", () => {
  it("follows from the first with a heartbeat of 15 s where nothing is said", () => {
    assert.deepEqual(stream.parse(), { taskId: TASK_ID, fromSeq: 1n, heartbeatMs: 15_000 });
  });

  stream.accepts("a heartbeat of 1 s", { heartbeatInterval: seconds(1) });
  stream.refuses("a shorter one", { heartbeatInterval: seconds(0, 999_999_999) }, "heartbeat_interval", /1 s to 60 s/);
  stream.refuses("one of 0", { heartbeatInterval: seconds(0) }, "heartbeat_interval", /1 s to 60 s/);
  stream.accepts("a heartbeat of 60 s", { heartbeatInterval: seconds(60) });
  stream.refuses("a longer one", { heartbeatInterval: seconds(60, 1) }, "heartbeat_interval", /1 s to 60 s/);
  stream.refuses("a from_seq of -1", { fromSeq: -1n }, "from_seq", /0 or more/);
});

describe("a GetResult request", () => {
  it("does not wait where nothing is said", () => {
    assert.deepEqual(result.parse(), { taskId: TASK_ID, waitMs: 0 });
  });

  result.accepts("a wait of 60 s", { wait: seconds(60) });
  result.refuses("a longer one", { wait: seconds(60, 1) }, "wait", /0 s to 60 s/);
});
