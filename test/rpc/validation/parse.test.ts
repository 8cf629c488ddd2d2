import assert from "node:assert/strict";
import { EventView } from "../../../src/gen/spool/v1/event_pb.ts";
import {
  CancelTaskRequestSchema,
  GetEventsRequestSchema,
  GetResultRequestSchema,
  GetTaskRequestSchema,
  ListTasksRequestSchema,
  StreamEventsRequestSchema,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { encodePageToken } from "../../../src/rpc/codec/page-token.ts";
import {
  parseCancelTask,
  parseGetEvents,
  parseGetResult,
  parseGetTask,
  parseListTasks,
  parseStreamEvents,
} from "../../../src/rpc/validation/parse.ts";
import { Call, labels, seconds, times } from "./parser-call.ts";

const TASK_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";

const get = new Call(GetTaskRequestSchema, { taskId: TASK_ID }, parseGetTask);
const list = new Call(ListTasksRequestSchema, {}, parseListTasks);
const cancel = new Call(CancelTaskRequestSchema, { taskId: TASK_ID }, parseCancelTask);
const events = new Call(GetEventsRequestSchema, { taskId: TASK_ID }, parseGetEvents);
const stream = new Call(StreamEventsRequestSchema, { taskId: TASK_ID }, parseStreamEvents);
const result = new Call(GetResultRequestSchema, { taskId: TASK_ID }, parseGetResult);

describe("a task_id", () => {
  it("is accepted in any case and returned in lower case", () => {
    assert.equal(get.parse({ taskId: TASK_ID.toUpperCase() }), TASK_ID);
  });

  const MALFORMED = ["", "x", TASK_ID.replaceAll("-", ""), `{${TASK_ID}}`, `${TASK_ID} `, `${TASK_ID.slice(1)}g`];
  for (const taskId of MALFORMED) get.refuses(JSON.stringify(taskId), { taskId }, "task_id", /UUID/);
  for (const call of [cancel, events, stream, result]) {
    it(`is validated in a ${call.desc.name}`, () => {
      assert.equal((call as typeof cancel).refused({ taskId: "x" })[0]!.field, "task_id");
    });
  }
});

describe("a ListTasks request", () => {
  it("returns the newest 100 tasks of any kind by default", () => {
    const filter = { statuses: [], kinds: [], labels: {}, taskIdPrefix: "" };
    assert.deepEqual(list.parse(), { limit: 100, beforeTaskId: null, withProgress: false, filter });
  });

  it("removes duplicate statuses and kinds", () => {
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
  list.refuses("a page_size of 1,001", { pageSize: 1_001 }, "page_size", /1 to 1,000/);
  list.refuses("a page_size of -1", { pageSize: -1 }, "page_size", /1 to 1,000/);
  list.refuses("an unspecified status", { statuses: [1, 0] }, "statuses[1]", /other than UNSPECIFIED/);
  list.refuses("an unknown status", { statuses: [99 as never] }, "statuses[0]", /status/);
  list.accepts("100 kinds", { kinds: times(100, "k") });
  list.refuses("101 kinds", { kinds: times(101, "k") }, "kinds", /at most 100/);
  list.refuses("an invalid kind", { kinds: ["a", "a b"] }, "kinds[1]", /A-Za-z0-9/);
  list.refuses("33 labels", { labels: labels(33) }, "labels", /at most 32/);
  list.refuses("a made-up token", { pageToken: "page2" }, "page_token", /next_page_token/);

  it("continues after the task of its token", () => {
    const pageToken = encodePageToken(TASK_ID, { statuses: ["failed"], kinds: [], labels: {} });
    assert.equal(list.parse({ pageToken, statuses: [4] }).beforeTaskId, TASK_ID);
  });

  it("rejects the token of a list with other filters", () => {
    const pageToken = encodePageToken(TASK_ID, { statuses: ["failed"], kinds: [], labels: {} });
    assert.equal(list.refused({ pageToken, statuses: [5] })[0]!.field, "page_token");
  });

  it("reports at most 100 violations", () => {
    assert.equal(list.refused({ statuses: times(10_000, 0) }).length, 100);
  });
});

describe("a CancelTask request", () => {
  cancel.accepts("a reason of 1,024 characters", { reason: "ü".repeat(1_024) });
  cancel.refuses("a reason of 1,025 characters", { reason: "ü".repeat(1_025) }, "reason", /at most 1,024 characters/);
  cancel.refuses("a reason with NUL", { reason: "a\0" }, "reason", /NUL/);
});

describe("a GetEvents request", () => {
  it("reads 100 events from the first, without waiting, by default", () => {
    assert.deepEqual(events.parse(), { taskId: TASK_ID, fromSeq: 1n, limit: 100, waitMs: 0, view: "recorded" });
  });

  events.refuses("a limit of 0", { limit: 0 }, "limit", /1 to 1,000/);
  events.accepts("a limit of 1", { limit: 1 });
  events.accepts("a limit of 1,000", { limit: 1_000 });
  events.refuses("a limit of 1,001", { limit: 1_001 }, "limit", /1 to 1,000/);
  events.refuses("a limit of -1", { limit: -1 }, "limit", /1 to 1,000/);
  events.refuses("a from_seq of -1", { fromSeq: -1n }, "from_seq", /0 or more/);
  events.accepts("the folded view", { view: EventView.FOLDED });
  events.refuses("an unknown view", { view: 3 as never }, "view", /RECORDED or FOLDED/);
  events.accepts("the largest from_seq", { fromSeq: 2n ** 63n - 1n });
  events.accepts("a wait of 0", { wait: seconds(0) });
  events.accepts("a wait of 60 s", { wait: seconds(60) });
  events.refuses("a wait 1 ns above 60 s", { wait: seconds(60, 1) }, "wait", /0 s to 60 s/);
  events.refuses("a negative wait", { wait: seconds(0, -1) }, "wait", /0 s to 60 s/);
});

describe("a StreamEvents request", () => {
  it("follows from the first event with a heartbeat of 15 s by default", () => {
    assert.deepEqual(stream.parse(), { taskId: TASK_ID, fromSeq: 1n, heartbeatMs: 15_000, view: "recorded" });
  });

  stream.accepts("a heartbeat of 1 s", { heartbeatInterval: seconds(1) });
  stream.refuses(
    "a heartbeat below 1 s",
    { heartbeatInterval: seconds(0, 999_999_999) },
    "heartbeat_interval",
    /1 s to 60 s/,
  );
  stream.refuses("a heartbeat of 0", { heartbeatInterval: seconds(0) }, "heartbeat_interval", /1 s to 60 s/);
  stream.accepts("a heartbeat of 60 s", { heartbeatInterval: seconds(60) });
  stream.refuses("a heartbeat above 60 s", { heartbeatInterval: seconds(60, 1) }, "heartbeat_interval", /1 s to 60 s/);
  stream.accepts("the recorded view", { view: EventView.RECORDED });
  stream.refuses("an unknown view", { view: 3 as never }, "view", /RECORDED or FOLDED/);
  stream.refuses("a from_seq of -1", { fromSeq: -1n }, "from_seq", /0 or more/);
});

describe("a GetResult request", () => {
  it("does not wait by default", () => {
    assert.deepEqual(result.parse(), { taskId: TASK_ID, waitMs: 0 });
  });

  result.accepts("a wait of 60 s", { wait: seconds(60) });
  result.refuses("a longer wait", { wait: seconds(60, 1) }, "wait", /0 s to 60 s/);
});
