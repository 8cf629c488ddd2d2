import assert from "node:assert/strict";
import * as fc from "fast-check";
import { bodyOf, newEvent } from "../../src/domain/event.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import { FOLDED_BYTES_MAX, FOLDED_PAGE_RECORDED_MAX } from "../../src/domain/limits.ts";
import { TapeFold } from "../../src/domain/tape-fold.ts";
import type { FoldBounds } from "../../src/domain/tape-fold.ts";
import { numbered, readTape, seriesTape } from "../support/series-tapes.ts";

/** Folds a tape in parts of the given sizes. A fold that is full ends, and the next begins. */
function fold(tape: readonly TapeEvent[], sizes: readonly number[] = [], bounds: FoldBounds = {}): TapeEvent[] {
  const view: TapeEvent[] = [];
  let at = 0;
  for (let index = 0; at < tape.length; index++) {
    const part = new TapeFold(bounds);
    const end = at + (sizes[index % sizes.length] ?? tape.length);
    const taken = part.take(tape.slice(at, end));
    assert.ok(taken > 0, "a fold takes at least one event");
    view.push(...part.finish());
    at += taken;
  }
  return view;
}

const delta = (text: string, name = "answer") =>
  newEvent("partial", { kind: "delta", payload: { text }, series: { name, mode: "append", field: "text" } });
const state = (step: number) =>
  newEvent("partial", { kind: "state", payload: { step }, series: { name: "s", mode: "latest" } });
const log = newEvent("log", { level: "INFO", message: "between" });

const bounds = fc.record({
  eventsMax: fc.integer({ min: 1, max: 20 }),
  recordedMax: fc.integer({ min: 1, max: 40 }),
  bytesMax: fc.integer({ min: 1, max: 5_000 }),
  foldedBytesMax: fc.integer({ min: 1, max: 2_000 }),
});
const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 });

describe("the folded view of a tape", () => {
  it("says the same as the tape, in any parts and bounds", () => {
    fc.assert(
      fc.property(seriesTape, sizes, bounds, (tape, parts, limits) => {
        assert.deepEqual(readTape(fold(tape, parts, limits)), readTape(tape));
      }),
      { numRuns: 1_000 },
    );
  });

  it("says the same as the tape to a reader that resumes after any event of the view, or at any seq", () => {
    fc.assert(
      fc.property(seriesTape, sizes, fc.nat(), (tape, parts, number) => {
        const cut = number % (tape.length + 1);
        const rest = tape.slice(cut);
        assert.deepEqual(readTape(fold(rest, parts)), readTape(rest));
        const view = fold(tape, parts);
        const seen = view.slice(0, cut);
        const resumed = fold(tape.slice(Number(seen.at(-1)?.seq ?? 0n)), parts);
        assert.deepEqual(readTape([...seen, ...resumed]), readTape(tape));
      }),
      { numRuns: 1_000 },
    );
  });

  it("has one event for a run with several series, in the order in which they first occur", () => {
    const tape = numbered([delta("To"), state(1), delta("ky"), delta("!", "other"), state(2), delta("o")]);
    const [event, ...more] = fold(tape);
    assert.deepEqual(more, []);
    assert.deepEqual([event!.seq, event!.time, event!.type], [6n, tape[5]!.time, "folded"]);
    const partialOf = ({ body }: TapeEvent) => JSON.parse(body) as unknown;
    assert.deepEqual(bodyOf({ ...event!, type: "folded" }), {
      first_seq: "1",
      parts: [
        { partial: partialOf(tape[5]!), text: "Tokyo", count: 3, first_seq: "1", last_seq: "6" },
        { partial: partialOf(tape[4]!), count: 2, first_seq: "2", last_seq: "5" },
        { partial: partialOf(tape[3]!), text: "!", count: 1, first_seq: "4", last_seq: "4" },
      ],
    });
  });

  it("leaves a run of one event, and every event without a series that folds, as recorded", () => {
    const all = newEvent("partial", { kind: "f", payload: {}, series: { name: "f", mode: "all" } });
    const plain = newEvent("partial", { kind: "delta", payload: { text: "a" } });
    const tape = numbered([delta("a"), log, state(1), all, all, plain, plain, delta("b")]);
    assert.deepEqual(fold(tape), tape);
  });

  it("ends a run where a series changes its mode or its field", () => {
    const answer = { kind: "delta", payload: { text: "a", other: "b" } };
    const inField = (field: string) =>
      newEvent("partial", { ...answer, series: { name: "answer", mode: "append", field } });
    const latest = newEvent("partial", { ...answer, series: { name: "answer", mode: "latest" } });
    const tape = numbered([inField("text"), inField("text"), inField("other"), latest, latest]);
    assert.deepEqual(
      fold(tape).map(({ seq, type }) => [seq, type]),
      [
        [2n, "folded"],
        [3n, "partial"],
        [5n, "folded"],
      ],
    );
  });

  it("leaves a partial whose text is missing as it is", () => {
    const broken = newEvent("partial", {
      kind: "delta",
      payload: {},
      series: { name: "a", mode: "append", field: "text" },
    });
    const tape = numbered([broken, broken]);
    assert.deepEqual(fold(tape), tape);
  });

  it("bounds a folded event by its bytes, at the bound and one past it", () => {
    const empty = Buffer.byteLength(delta("").body);
    const text = "é".repeat((FOLDED_BYTES_MAX - empty) / 2 - 10);
    const rest = FOLDED_BYTES_MAX - Buffer.byteLength(text) - empty;
    // The last event counts with its own text besides.
    const last = (chars: number) => delta("x".repeat(chars));
    assert.equal(rest % 2, 0);
    assert.equal(fold(numbered([delta(text), last(rest / 2)])).length, 1);
    assert.equal(fold(numbered([delta(text), last(rest / 2 + 1)])).length, 2);
  });

  it("bounds a page by recorded events, at the bound and one past it", () => {
    const tape = numbered(Array.from({ length: FOLDED_PAGE_RECORDED_MAX + 1 }, () => delta("t")));
    const part = new TapeFold();
    assert.equal(part.take(tape.slice(0, -1)), FOLDED_PAGE_RECORDED_MAX);
    assert.equal(part.hasRoom, false);
    assert.equal(part.take(tape.slice(-1)), 0);
    assert.equal(part.finish().length, 1);
  });

  it("bounds a page by its own events: a run that is the last one goes on", () => {
    const tape = numbered([log, delta("a"), delta("b"), delta("c"), log]);
    const part = new TapeFold({ eventsMax: 2 });
    assert.equal(part.take(tape), 4);
    assert.equal(part.hasRoom, false);
    assert.deepEqual(
      part.finish().map(({ seq }) => seq),
      [1n, 4n],
    );
  });
});
