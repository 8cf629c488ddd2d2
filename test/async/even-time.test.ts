import assert from "node:assert/strict";
import { untilEven } from "../../src/async/even-time.ts";

const STEP_MS = 5;

describe("a wait for an even time", () => {
  for (const tookMs of [0, 1.3, 4.9, 5.1, 12]) {
    it(`after ${tookMs} ms of work ends at the next multiple, and not before`, async () => {
      const begunAt = performance.now() - tookMs;
      await untilEven(begunAt, STEP_MS);
      const passedMs = performance.now() - begunAt;
      assert.ok(passedMs >= Math.max(1, Math.ceil(tookMs / STEP_MS)) * STEP_MS, `${passedMs} ms`);
    });
  }
});
