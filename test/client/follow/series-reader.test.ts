import assert from "node:assert/strict";
import * as fc from "fast-check";
import { fromEventMessage, toEventMessage } from "../../../src/codec/event.ts";
import { SeriesReader } from "../../../src/client/client.ts";
import type { SeriesOptions, SpoolEvent } from "../../../src/client/client.ts";
import { newEvent } from "../../../src/domain/event.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import { TapeFold } from "../../../src/domain/tape-fold.ts";
import { numbered, seriesTape } from "../../support/series-tapes.ts";

const toClient = (events: readonly TapeEvent[]): SpoolEvent[] =>
  events.map((event) => fromEventMessage(toEventMessage(event)));

function folded(tape: readonly TapeEvent[]): TapeEvent[] {
  const fold = new TapeFold();
  fold.take(tape);
  return fold.finish();
}

const partial = (payload: { text: string }, series: SeriesOptions & { field?: string }) =>
  newEvent("partial", { kind: "delta", payload, series });
const delta = (text: string) => partial({ text }, { name: "answer", mode: "append", field: "text" });

describe("a SeriesReader", () => {
  it("reads the same from both views, from any mix of them, and from events that come again", () => {
    fc.assert(
      fc.property(seriesTape, fc.nat(), (tape, number) => {
        const cut = number % (tape.length + 1);
        const recorded = new SeriesReader();
        for (const event of toClient(tape)) recorded.read(event);
        const view = new SeriesReader();
        for (const event of toClient(folded(tape))) view.read(event);
        const mixed = new SeriesReader();
        for (const event of toClient(tape.slice(0, cut))) mixed.read(event);
        for (const event of toClient(tape.slice(0, cut))) assert.deepEqual(mixed.read(event), []);
        assert.equal(mixed.nextFromSeq, BigInt(cut) + 1n);
        for (const event of toClient(folded(tape.slice(cut)))) mixed.read(event);
        assert.deepEqual(view.all, recorded.all);
        assert.deepEqual(mixed.all, recorded.all);
      }),
    );
  });

  it("returns the series that an event changes, with the text that it adds", () => {
    const reader = new SeriesReader();
    const state = partial({ text: "busy" }, { name: "state", mode: "latest" });
    const [first, run] = [
      toClient(numbered([delta("To")])),
      toClient(folded(numbered([delta(""), delta("ky"), state]))),
    ];
    assert.deepEqual(
      reader.read(first[0]!).map(({ series, added }) => [series.name, series.text, added]),
      [["answer", "To", "To"]],
    );
    const later = { ...run[0]!, seq: 4n, firstSeq: 2n } as SpoolEvent;
    assert.deepEqual(
      reader.read(later).map(({ series, added }) => [series.name, series.text, added, series.payload, series.count]),
      [
        ["answer", "Toky", "ky", { text: "Toky" }, 3],
        ["state", "", "", { text: "busy" }, 1],
      ],
    );
    assert.equal(reader.text("delta", "answer"), "Toky");
    assert.equal(reader.get("delta", "none"), undefined);
    assert.equal(reader.text("delta", "none"), "");
  });

  it("ignores partials without a series and other events", () => {
    const reader = new SeriesReader();
    const tape = numbered([
      newEvent("partial", { kind: "delta", payload: { text: "a" } }),
      newEvent("log", { level: "INFO", message: "a" }),
    ]);
    for (const event of toClient(tape)) assert.deepEqual(reader.read(event), []);
    assert.deepEqual([reader.all, reader.nextFromSeq], [[], 3n]);
  });

  it("throws for a folded event of which it has read a part", () => {
    const reader = new SeriesReader();
    const tape = numbered([delta("a"), delta("b"), delta("c")]);
    for (const event of toClient(tape.slice(0, 2))) reader.read(event);
    const message = "the folded event 1 to 3 was read up to 2: follow from nextFromSeq";
    assert.throws(() => reader.read(toClient(folded(tape))[0]!), new RangeError(message));
    assert.equal(reader.text("delta", "answer"), "ab");
  });
});
