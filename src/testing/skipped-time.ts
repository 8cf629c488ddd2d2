import { syncBuiltinESMExports } from "node:module";
import FakeTimers from "@sinonjs/fake-timers";

let isSkipping = false;

/**
 * Lets the process skip every wait until the result is disposed: when nothing but timers is left to run, the clock jumps
 * to the next timer. Holds for `Date`, `performance`, timers, and `node:timers/promises`.
 *
 * @throws Error if time is skipped already, because the clock is one for the process
 */
export function skipTime(): Disposable {
  if (isSkipping) throw new Error('clock: "skip" is in use by another run of this process');
  // The microtasks of code stay real: process.nextTick and queueMicrotask do not wait for time.
  const clock = FakeTimers.install({
    now: Date.now(),
    toNotFake: ["nextTick", "queueMicrotask"],
    // Code may clear timers that it made before, which would otherwise stay and fire.
    shouldClearNativeTimers: true,
  });
  syncBuiltinESMExports(); // Modules that import timers by name get the replaced ones.
  clock.setTickMode({ mode: "nextAsync" });
  isSkipping = true;
  return {
    [Symbol.dispose]() {
      clock.uninstall();
      syncBuiltinESMExports();
      isSkipping = false;
    },
  };
}
