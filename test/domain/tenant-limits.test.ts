import assert from "node:assert/strict";
import { givenLimits } from "../../src/domain/tenant-limits.ts";

describe("the limits that a caller gives", () => {
  const giver = { name: "ops", limits: { streams: 5, startsPerSecond: 0.5 } };

  it("are its own where none are asked for, and otherwise as asked for", () => {
    assert.deepEqual(givenLimits(giver, {}), { streams: 5, startsPerSecond: 0.5 });
    assert.deepEqual(givenLimits(giver, { streams: 4, pendingTasks: 9 }), {
      streams: 4,
      startsPerSecond: 0.5,
      pendingTasks: 9,
    });
    assert.deepEqual(givenLimits(giver, { streams: 5 }), giver.limits);
    assert.deepEqual(givenLimits({ name: "root", limits: {} }, { streams: 7 }), { streams: 7 });
    assert.deepEqual(givenLimits({ name: "root", limits: {} }, {}), {});
  });

  it("are at most its own", () => {
    assert.throws(() => givenLimits(giver, { startsPerSecond: 0.6 }), {
      reason: "PERMISSION_DENIED",
      metadata: { principal: "ops", limit: "starts_per_second", max: "0.5" },
      message: "ops cannot give the limit starts_per_second 0.6: its own is 0.5",
    });
  });
});
