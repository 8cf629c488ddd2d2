import type { FaultLine } from "../history.ts";

/** Time within which an open stream without faults delivers an event that another reader has seen. */
export const DELIVERED_WITHIN_MS = 15_000;

/** Time within which a requested cancel has its final: 10 s, and the grace of code that ignores its signal. */
export const CANCELLED_WITHIN_MS = 10_000 + 5_000;

/** Time after a fault within which ends are stored (30 s), and tasks of a dead process are taken over (15 s). */
const RECOVERED_WITHIN_MS = 30_000 + 15_000;

/** Difference between the clocks of two processes on one machine. */
export const CLOCK_SLACK_MS = 25;

/** Returns the time from which on no fault was active up to `until`: not before `since`. */
export function quietSince(faults: readonly FaultLine[], since: number, until: number): number {
  return faults.reduce((at, fault) => (fault.at <= until ? Math.max(at, fault.until) : at), since);
}

/** Returns the time at which something must have happened, with more time for each fault that may have delayed it. */
export function dueAfterFaults(faults: readonly FaultLine[], since: number, withinMs: number): number {
  let dueAt = since + withinMs;
  for (const { at, until } of faults.toSorted((a, b) => a.at - b.at)) {
    if (at <= dueAt && until >= since) dueAt = Math.max(dueAt, until + RECOVERED_WITHIN_MS);
  }
  return dueAt;
}
