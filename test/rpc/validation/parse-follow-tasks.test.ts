import assert from "node:assert/strict";
import { fromStart } from "../../../src/domain/follow-cursor.ts";
import { FollowTasksRequestSchema, FollowView } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { encodeCursor } from "../../../src/rpc/codec/follow-cursor.ts";
import { parseFollowTasks } from "../../../src/rpc/validation/parse-follow-tasks.ts";
import { Call, labels, seconds, times } from "./parser-call.ts";

const follow = new Call(FollowTasksRequestSchema, {}, parseFollowTasks);

describe("a FollowTasks request", () => {
  it("returns every event of every task from now on by default", () => {
    assert.deepEqual(follow.parse(), {
      kinds: [],
      labels: {},
      view: "events",
      cursor: null,
      fromStart: false,
      heartbeatMs: 15_000,
      intervalMs: 0,
    });
  });

  it("collects states of tasks for 500 ms by default", () => {
    const { view, intervalMs } = follow.parse({ view: FollowView.TASKS });
    assert.deepEqual([view, intervalMs], ["tasks", 500]);
  });

  follow.refuses("an unknown view", { view: 9 as never }, "view", /EVENTS or TASKS/);
  follow.accepts("100 kinds", { kinds: times(100, "k") });
  follow.refuses("101 kinds", { kinds: times(101, "k") }, "kinds", /at most 100/);
  follow.refuses("an invalid kind", { kinds: ["a b"] }, "kinds[0]", /A-Za-z0-9/);
  follow.refuses("33 labels", { labels: labels(33) }, "labels", /at most 32/);
  follow.accepts("an interval of 0", { interval: seconds(0) });
  follow.accepts("an interval of 60 s", { interval: seconds(60) });
  follow.refuses("an interval 1 ns above 60 s", { interval: seconds(60, 1) }, "interval", /0 s to 60 s/);
  follow.refuses("a heartbeat below 1 s", { heartbeatInterval: seconds(0, 999_999_999) }, "heartbeat_interval", /1 s/);
  follow.refuses("a made-up cursor", { cursor: "there" }, "cursor", /next_cursor of a stream/);

  const scope = { kinds: ["a"], labels: {}, view: "events" } as const;
  const cursor = encodeCursor(fromStart(0), scope);

  it("resumes from its cursor", () => {
    assert.deepEqual(follow.parse({ cursor, kinds: ["a"] }).cursor, fromStart(0));
  });

  follow.refuses("the cursor of another filter", { cursor, kinds: ["b"] }, "cursor", /same filter and view/);
  follow.refuses(
    "the cursor of another view",
    { cursor, kinds: ["a"], view: FollowView.TASKS },
    "cursor",
    /same filter/,
  );
  follow.refuses(
    "a cursor with from_start",
    { cursor, kinds: ["a"], fromStart: true },
    "from_start",
    /together with a cursor/,
  );
});
