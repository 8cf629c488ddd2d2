import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import type { Scheduler, Timer } from "./scheduler.ts";

const { now } = performance;
let current: Scheduler | null = null;

/**
 * Gives the clock, the timers and the immediates of this process to schedulers, for as long as the process lives. The
 * code under test has no parameters for them, so it has no cost for them either.
 */
export function controlClock(): void {
  const add = (run: () => void, ms: number | undefined, isInterval: boolean): Timer => {
    const everyMs = Math.max(1, ms ?? 0);
    const at = current!.nowMs + everyMs;
    return current!.addTimer({ name: "timer", run: () => run(), at, everyMs: isInterval ? everyMs : null });
  };
  const clear = (timer?: Timer) => current!.clearTimer(timer);
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms?: number) => add(run, ms, false),
    setInterval: (run: () => void, ms?: number) => add(run, ms, true),
    clearTimeout: clear,
    clearInterval: clear,
    setImmediate: (run: () => void) => current!.addImmediate(run),
  });
  timersPromises.setImmediate = <Value>(value?: Value) =>
    new Promise<Value>((resolve) => current!.addImmediate(() => resolve(value as Value)));
  syncBuiltinESMExports(); // Modules that import timers by name get the replaced ones.
  performance.now = () => current?.nowMs ?? now.call(performance);
}

/** Sets the scheduler that has the clock. */
export function useScheduler(scheduler: Scheduler | null): void {
  current = scheduler;
}
