import assert from "node:assert/strict";
import { TimingWheel } from "../../../src/engine/read/timing-wheel.ts";
import type { Timed } from "../../../src/engine/read/timing-wheel.ts";

/** One that notes when it is told. */
class Alarm implements Timed {
  deadlineMs: number;
  toldMs: number | null = null;
  readonly told = Promise.withResolvers<void>();

  constructor(inMs: number) {
    this.deadlineMs = performance.now() + inMs;
  }

  expire(): void {
    assert.equal(this.toldMs, null);
    this.toldMs = performance.now();
    this.told.resolve();
  }
}

describe("the timing wheel", () => {
  it("tells each once its deadline has passed, and not before, in whatever order they are watched", async () => {
    const wheel = new TimingWheel();
    const alarms = [90, 5, 45, 0, 45, 130].map((inMs) => new Alarm(inMs));
    for (const alarm of alarms) wheel.watch(alarm);
    await Promise.all(alarms.map(({ told }) => told.promise));
    for (const { toldMs, deadlineMs } of alarms) assert.ok(toldMs! >= deadlineMs, `${toldMs} before ${deadlineMs}`);
  });

  it("tells one whose deadline had passed when it was watched", async () => {
    const wheel = new TimingWheel();
    const alarms = [-50, -0.1].map((inMs) => new Alarm(inMs));
    for (const alarm of alarms) wheel.watch(alarm);
    await Promise.all(alarms.map(({ told }) => told.promise));
    const late = new Alarm(-50);
    wheel.watch(late);
    await late.told.promise;
  });

  it("looks at a later deadline without being told of it, and at an earlier one once it is", async () => {
    const wheel = new TimingWheel();
    const [later, earlier] = [new Alarm(10), new Alarm(60_000)];
    for (const alarm of [later, earlier]) wheel.watch(alarm);
    later.deadlineMs += 60;
    earlier.deadlineMs = performance.now() + 30;
    wheel.watch(earlier);
    await Promise.all([later.told.promise, earlier.told.promise]);
    assert.ok(later.toldMs! >= later.deadlineMs);
    assert.ok(earlier.toldMs! < later.toldMs!);
  });

  it("tells nothing to one that was removed, or does not wait any more, and takes it again", async () => {
    const wheel = new TimingWheel();
    const [removed, idle, last] = [new Alarm(10), new Alarm(10), new Alarm(60)];
    for (const alarm of [removed, idle, last]) wheel.watch(alarm);
    wheel.remove(removed);
    wheel.remove(removed);
    idle.deadlineMs = Infinity;
    await last.told.promise;
    assert.deepEqual([removed.toldMs, idle.toldMs], [null, null]);
    for (const alarm of [removed, idle]) {
      alarm.deadlineMs = performance.now();
      wheel.watch(alarm);
    }
    await Promise.all([removed.told.promise, idle.told.promise]);
  });

  it("lets other work go on between those whose deadlines pass in one moment", async () => {
    const wheel = new TimingWheel();
    const alarms = Array.from({ length: 200 }, () => new Alarm(5));
    for (const alarm of alarms) wheel.watch(alarm);
    const gone = new Alarm(5);
    wheel.watch(gone);
    await Promise.race(alarms.map(({ told }) => told.promise));
    const told = alarms.filter(({ toldMs }) => toldMs !== null).length;
    assert.ok(told < alarms.length, "all of them in one turn");
    assert.equal(gone.toldMs, null);
    wheel.remove(gone); // Its turn has come, and it leaves before it is told.
    await Promise.all(alarms.map(({ told }) => told.promise));
    assert.equal(gone.toldMs, null);
  });
});
