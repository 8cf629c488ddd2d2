import assert from "node:assert/strict";
import FakeTimers from "@sinonjs/fake-timers";
import { pino } from "pino";
import { Loop } from "../../src/async/loop.ts";
import { StoreUnavailable } from "../../src/domain/errors.ts";

describe("a loop", () => {
  let clock: FakeTimers.Clock;
  let runs: number;
  let warnings: number;
  let isIdle: boolean;
  let work: () => Promise<void>;
  let loop: Loop;
  beforeEach(() => {
    clock = FakeTimers.install({ toNotFake: ["nextTick", "queueMicrotask"] });
    runs = 0;
    warnings = 0;
    isIdle = false;
    work = async () => {};
    const log = pino({ level: "warn" }, { write: () => warnings++ });
    const turn = () => {
      runs++;
      return work();
    };
    loop = new Loop({ name: "tested", everyMs: 1_000, log, isIdle: () => isIdle, turn });
    loop.start();
  });
  afterEach(async () => {
    await loop.stop();
    clock.uninstall();
  });

  it("leaves out its run while it is idle, unless it is kicked", async () => {
    await clock.tickAsync(2_000);
    assert.equal(runs, 2);
    isIdle = true;
    await clock.tickAsync(5_000);
    assert.equal(runs, 2);
    loop.kick();
    await clock.tickAsync(0);
    assert.equal(runs, 3);
    await clock.tickAsync(5_000);
    assert.equal(runs, 3);
    isIdle = false;
    await clock.tickAsync(1_000);
    assert.equal(runs, 4);
  });

  it("runs again right after the run in which it was kicked, also if it is idle by then", async () => {
    const done = Promise.withResolvers<void>();
    work = () => done.promise;
    await clock.tickAsync(1_000);
    loop.kick();
    isIdle = true;
    done.resolve();
    await clock.tickAsync(0);
    assert.equal(runs, 2);
  });

  it("logs each outage once, also one that follows a time in which it was idle", async () => {
    work = () => Promise.reject(new StoreUnavailable(new Error("connection refused")));
    await clock.tickAsync(3_000);
    assert.equal(warnings, 1);
    isIdle = true;
    await clock.tickAsync(1_000);
    isIdle = false;
    await clock.tickAsync(3_000);
    assert.equal(warnings, 2);
  });
});
