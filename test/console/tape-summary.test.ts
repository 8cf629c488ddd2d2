import assert from "node:assert/strict";
import type { SpoolEvent } from "../../src/client/types.ts";
import { BEGUN_BEFORE, PHASES_MAX, TapeSummary } from "../../src/console/tape/tape-summary.ts";

const ERROR = { reason: "NOT_YET", message: "later" };

describe("the summary of a tape", () => {
  it("has each attempt and each phase with its start and end, and the outcome", () => {
    const summary = summaryOf([
      { type: "started", kind: "k", attempt: 1 },
      { type: "progress", phase: "read", current: 1, total: 2 },
      { type: "progress", phase: "read", current: 2, total: 2 },
      { type: "retrying", error: ERROR, nextAttemptAt: new Date(9) },
      { type: "started", kind: "k", attempt: 2 },
      { type: "progress", phase: "read", current: 1, total: 0 },
      { type: "final", status: "succeeded", result: { done: true } },
    ]);
    assert.deepEqual(summary.attempts, [
      { number: 1, from: new Date(1), to: new Date(4), error: ERROR },
      { number: 2, from: new Date(5), to: new Date(7), error: null },
    ]);
    assert.deepEqual(summary.phases, [
      { name: "read", attempt: 1, from: new Date(2), to: new Date(3), current: 2, total: 2 },
      { name: "read", attempt: 2, from: new Date(6), to: new Date(6), current: 1, total: 0 },
    ]);
    assert.deepEqual(summary.outcome, { status: "succeeded", result: { done: true } });
  });

  it("ends an attempt without an end at the start of the next attempt", () => {
    const { attempts } = summaryOf([
      { type: "started", kind: "k", attempt: 1 },
      { type: "started", kind: "k", attempt: 2 },
    ]);
    assert.deepEqual(
      attempts.map(({ to }) => to),
      [new Date(2), null],
    );
  });

  it("has the phases of an attempt that began before the first event in memory", () => {
    const { attempts, phases } = summaryOf([
      { type: "log", level: "INFO", message: "in the middle" },
      { type: "progress", phase: "read", current: 7, total: 9 },
      { type: "started", kind: "k", attempt: 3 },
    ]);
    assert.deepEqual(attempts, [
      { number: BEGUN_BEFORE, from: new Date(2), to: new Date(3), error: null },
      { number: 3, from: new Date(3), to: null, error: null },
    ]);
    assert.equal(phases[0]!.attempt, BEGUN_BEFORE);
  });

  it("has a limited number of phases and reports if there are more", () => {
    const phases = (count: number) =>
      summaryOf(
        Array.from({ length: count }, (_, index) => {
          return { type: "progress", phase: `phase ${index}`, current: 1, total: 1 } as const;
        }),
      );
    assert.deepEqual([phases(PHASES_MAX).phases.length, phases(PHASES_MAX).hasMorePhases], [PHASES_MAX, false]);
    assert.deepEqual([phases(PHASES_MAX + 1).phases.length, phases(PHASES_MAX + 1).hasMorePhases], [PHASES_MAX, true]);
  });
});

type Body = SpoolEvent extends infer Event ? (Event extends SpoolEvent ? Omit<Event, "seq" | "time"> : never) : never;

/** The time of each event is its seq. */
function summaryOf(bodies: readonly Body[]): TapeSummary {
  const summary = new TapeSummary();
  for (const [index, body] of bodies.entries()) {
    summary.take({ seq: BigInt(index + 1), time: new Date(index + 1), ...body } as SpoolEvent);
  }
  return summary;
}
