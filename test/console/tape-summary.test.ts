import assert from "node:assert/strict";
import type { SpoolEvent } from "../../src/client/types.ts";
import { SERIES_MAX, SeriesTails, TAIL_CHARS_MAX } from "../../src/console/tape/series-tails.ts";
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

  it("has the text and the last state of each series, from recorded and folded events", () => {
    const append = { name: "answer", mode: "append", field: "text" } as const;
    const latest = { name: "state", mode: "latest" } as const;
    const covers = { count: 2, firstSeq: 2n, lastSeq: 4n };
    const { series } = summaryOf([
      { type: "partial", kind: "delta", payload: { text: "To" }, series: append },
      {
        type: "folded",
        firstSeq: 2n,
        parts: [
          { kind: "delta", payload: { text: "kyo" }, series: append, ...covers },
          { kind: "state", payload: { step: 2 }, series: latest, ...covers },
        ],
      },
      { type: "partial", kind: "state", payload: { step: 3 }, series: latest },
      { type: "partial", kind: "found", payload: { id: 1 }, series: { name: "found", mode: "all" } },
      { type: "partial", kind: "delta", payload: { text: "!" } },
    ]);
    assert.deepEqual(series.all, [
      { kind: "delta", name: "answer", text: "Tokyo", chars: 5, payload: { text: "kyo" }, count: 3 },
      { kind: "state", name: "state", text: null, chars: 0, payload: { step: 3 }, count: 3 },
    ]);
  });

  it("keeps a bounded number of series, and the end of each text", () => {
    const tails = new SeriesTails();
    const put = (name: string, text: string) =>
      tails.take({
        seq: 1n,
        time: new Date(1),
        type: "partial",
        kind: "delta",
        payload: { text },
        series: { name, mode: "append", field: "text" },
      });
    for (let index = 0; index < SERIES_MAX; index++) put(`s${index}`, "x");
    assert.equal(tails.hasMore, false);
    for (let count = 0; count < 5; count++) put("s0", "y".repeat(TAIL_CHARS_MAX - 1) + count);
    put("one more", "x");
    assert.deepEqual([tails.hasMore, tails.all.length], [true, SERIES_MAX]);
    assert.ok(!tails.all.some(({ name }) => name === "s1"), "the series that changed first is left out");
    const { text, chars } = tails.all.find(({ name }) => name === "s0")!;
    assert.deepEqual([text!.length, chars], [TAIL_CHARS_MAX, 5 * TAIL_CHARS_MAX + 1]);
    assert.ok(text!.endsWith("y4"));
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
