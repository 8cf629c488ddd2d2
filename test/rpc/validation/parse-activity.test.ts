import assert from "node:assert/strict";
import { GetActivityRequestSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { parseGetActivity } from "../../../src/rpc/validation/parse-activity.ts";
import { Call, seconds, times } from "./parser-call.ts";

const activity = new Call(GetActivityRequestSchema, {}, parseGetActivity);

describe("a GetActivity request", () => {
  it("covers the last hour in 120 steps and all kinds by default", () => {
    assert.deepEqual(activity.parse(), { windowMs: 3_600_000, stepMs: 30_000, kinds: [] });
  });

  it("has steps of a 120th of its window, and at least 1 s", () => {
    assert.equal(activity.parse({ window: seconds(86_400) }).stepMs, 720_000);
    assert.equal(activity.parse({ window: seconds(60) }).stepMs, 1_000);
    assert.equal(activity.parse({ window: seconds(1_000) }).stepMs, 8_334);
  });

  it("removes duplicate kinds", () => {
    assert.deepEqual(activity.parse({ kinds: ["b", "a", "b"] }).kinds, ["b", "a"]);
  });

  activity.accepts("a window of 1 min", { window: seconds(60) });
  activity.refuses("a shorter window", { window: seconds(59, 999_999_999) }, "window", /60 s to 24 h/);
  activity.accepts("a window of 24 h", { window: seconds(86_400) });
  activity.refuses("a longer window", { window: seconds(86_400, 1) }, "window", /60 s to 24 h/);
  activity.accepts("a step of 1 s", { window: seconds(60), step: seconds(1) });
  activity.refuses("a shorter step", { window: seconds(60), step: seconds(0, 999_999_999) }, "step", /1 s to 60 s/);
  activity.accepts("a step as wide as its window", { window: seconds(60), step: seconds(60) });
  activity.refuses("a wider step", { window: seconds(60), step: seconds(60, 1) }, "step", /1 s to 60 s/);
  activity.accepts("1,000 steps", { step: seconds(3, 600_000_000) });
  activity.refuses("1,001 steps", { step: seconds(3, 599_999_999) }, "step", /3,600 ms to 3,600 s/);
  activity.accepts("100 kinds", { kinds: times(100, "k") });
  activity.refuses("101 kinds", { kinds: times(101, "k") }, "kinds", /at most 100/);
  activity.refuses("an invalid kind", { kinds: ["a", "a b"] }, "kinds[1]", /A-Za-z0-9/);

  it("has all its violations reported, except a step if the window is invalid", () => {
    const violations = activity.refused({ window: seconds(1), step: seconds(0), kinds: ["a b"] });
    assert.deepEqual(
      violations.map(({ field }) => field),
      ["window", "kinds[0]"],
    );
  });
});
