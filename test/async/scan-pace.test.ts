import assert from "node:assert/strict";
import { ScanPace } from "../../src/async/scan-pace.ts";

describe("the pace of a scan", () => {
  let nowMs: number;
  let pace: ScanPace;
  beforeEach(() => {
    nowMs = 0;
    pace = new ScanPace(() => nowMs);
  });

  const take = (ms: number, isFree = false) =>
    pace.run(
      () => {
        nowMs += ms;
        return Promise.resolve(ms);
      },
      () => isFree,
    );
  /** Returns how long the scan is not due. */
  const pauseMs = () => {
    const from = nowMs;
    while (!pace.isDue) nowMs++;
    const paused = nowMs - from;
    nowMs = from;
    return paused;
  };

  it("does not delay a scan of 25 ms", async () => {
    await take(25);
    await take(25);
    assert.equal(pauseMs(), 0);
  });

  it("gives a longer scan a fiftieth of the time", async () => {
    await take(26);
    await take(26);
    assert.equal(pauseMs(), 49 * 26);
  });

  it("delays a scan by 2 s at most", async () => {
    await take(60_000);
    await take(60_000);
    assert.equal(pauseMs(), 2_000);
  });

  it("does not count a single stall", async () => {
    await take(5);
    await take(60_000);
    assert.equal(pauseMs(), 0);
    await take(5);
    assert.equal(pauseMs(), 0);
  });

  it("does not delay a scan after a result that is free", async () => {
    await take(400);
    await take(400, true);
    assert.equal(pauseMs(), 0);
  });

  it("counts a scan that fails, because the database may have ended it for its length", async () => {
    await take(400);
    await assert.rejects(
      pace.run(() => {
        nowMs += 400;
        return Promise.reject(new Error("no answer"));
      }),
    );
    assert.equal(pauseMs(), 2_000);
  });

  it("has bounds of its own for a scan that nothing relies on", async () => {
    pace = new ScanPace(() => nowMs, { freeMs: 100, pauseMsMax: Infinity });
    for (const ms of [100, 100]) await take(ms);
    assert.equal(pauseMs(), 0);
    for (const ms of [200, 200]) await take(ms);
    assert.equal(pauseMs(), 49 * 200);
  });
});
