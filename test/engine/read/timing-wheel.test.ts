import assert from "node:assert/strict";
import { TimingWheel } from "../../../src/engine/read/timing-wheel.ts";
import type { Timed } from "../../../src/engine/read/timing-wheel.ts";

/** An entry that records when it expires. */
class Alarm implements Timed {
  deadlineMs: number;
  expiredMs: number | null = null;
  readonly expired = Promise.withResolvers<void>();

  constructor(inMs: number) {
    this.deadlineMs = performance.now() + inMs;
  }

  expire(): void {
    assert.equal(this.expiredMs, null);
    this.expiredMs = performance.now();
    this.expired.resolve();
  }
}

describe("the timing wheel", () => {
  it("expires each entry after its deadline, whatever the order in which they are watched", async () => {
    const wheel = new TimingWheel();
    const alarms = [90, 5, 45, 0, 45, 130].map((inMs) => new Alarm(inMs));
    for (const alarm of alarms) wheel.watch(alarm);
    await Promise.all(alarms.map(({ expired }) => expired.promise));
    for (const { expiredMs, deadlineMs } of alarms)
      assert.ok(expiredMs! >= deadlineMs, `${expiredMs} before ${deadlineMs}`);
  });

  it("expires an entry whose deadline had passed when it was watched", async () => {
    const wheel = new TimingWheel();
    const alarms = [-50, -0.1].map((inMs) => new Alarm(inMs));
    for (const alarm of alarms) wheel.watch(alarm);
    await Promise.all(alarms.map(({ expired }) => expired.promise));
    const late = new Alarm(-50);
    wheel.watch(late);
    await late.expired.promise;
  });

  it("notices a later deadline without a call, and an earlier one with a call", async () => {
    const wheel = new TimingWheel();
    const [later, earlier] = [new Alarm(10), new Alarm(60_000)];
    for (const alarm of [later, earlier]) wheel.watch(alarm);
    later.deadlineMs += 60;
    earlier.deadlineMs = performance.now() + 30;
    wheel.watch(earlier);
    await Promise.all([later.expired.promise, earlier.expired.promise]);
    assert.ok(later.expiredMs! >= later.deadlineMs);
    assert.ok(earlier.expiredMs! < later.expiredMs!);
  });

  it("does not expire an entry that was removed or does not wait any more, and watches it again", async () => {
    const wheel = new TimingWheel();
    const [removed, idle, last] = [new Alarm(10), new Alarm(10), new Alarm(60)];
    for (const alarm of [removed, idle, last]) wheel.watch(alarm);
    wheel.remove(removed);
    wheel.remove(removed);
    idle.deadlineMs = Infinity;
    await last.expired.promise;
    assert.deepEqual([removed.expiredMs, idle.expiredMs], [null, null]);
    for (const alarm of [removed, idle]) {
      alarm.deadlineMs = performance.now();
      wheel.watch(alarm);
    }
    await Promise.all([removed.expired.promise, idle.expired.promise]);
  });

  it("lets other work run between entries whose deadlines pass together", async () => {
    const wheel = new TimingWheel();
    const alarms = Array.from({ length: 200 }, () => new Alarm(5));
    for (const alarm of alarms) wheel.watch(alarm);
    const gone = new Alarm(5);
    wheel.watch(gone);
    await Promise.race(alarms.map(({ expired }) => expired.promise));
    const expired = alarms.filter(({ expiredMs }) => expiredMs !== null).length;
    assert.ok(expired < alarms.length, "all of them in one turn");
    assert.equal(gone.expiredMs, null);
    wheel.remove(gone); // Its turn has come, and it is removed before it expires.
    await Promise.all(alarms.map(({ expired }) => expired.promise));
    assert.equal(gone.expiredMs, null);
  });
});
