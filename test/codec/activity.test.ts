import assert from "node:assert/strict";
import { toJson } from "@bufbuild/protobuf";
import { GetActivityResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { toGetActivityResponse } from "../../src/codec/activity.ts";

describe("an answer of GetActivity", () => {
  it("has every field, and durations to the microsecond", () => {
    const ended = { succeeded: 3, failed: 4, cancelled: 5 };
    const answer = toGetActivityResponse({
      steps: [{ start: new Date(1_500), started: 1, running: 2, ...ended }],
      stepMs: 1_500,
      kinds: [
        { kind: "echo", pending: 6, running: 7, ...ended, durations: { p50Ms: 0.057, p95Ms: 61_091.555 } },
        { kind: "none", pending: 0, running: 0, succeeded: 0, failed: 0, cancelled: 1, durations: null },
      ],
    });
    const endedJson = { succeeded: "3", failed: "4", cancelled: "5" };
    assert.deepEqual(toJson(GetActivityResponseSchema, answer), {
      steps: [{ start: "1970-01-01T00:00:01.500Z", started: "1", running: "2", ...endedJson }],
      step: "1.500s",
      kinds: [
        {
          kind: "echo",
          pending: "6",
          running: "7",
          ...endedJson,
          durationP50: "0.000057s",
          durationP95: "61.091555s",
        },
        { kind: "none", cancelled: "1" },
      ],
    });
  });
});
