import assert from "node:assert/strict";
import * as fc from "fast-check";
import { bodyOf, newEvent } from "../../src/domain/event.ts";
import type { EventBodies, NewEvent, TapeEvent } from "../../src/domain/event.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { mergedPayload } from "../../src/domain/series.ts";
import type { Series } from "../../src/domain/series.ts";

/** What a tape says: the text of each series, the last payload of each, the other events, and the covered seqs. */
export interface ReadTape {
  texts: Record<string, string>;
  latest: Record<string, string>;
  others: string[];
  seqs: bigint[];
}

/** Reads recorded and folded events alike. Checks that each covers the seqs after the one before. */
export function readTape(events: readonly TapeEvent[]): ReadTape {
  const read: ReadTape = { texts: {}, latest: {}, others: [], seqs: [] };
  for (const event of events) {
    if (event.type === "folded") readFolded(read, bodyOf({ ...event, type: "folded" }), event.seq);
    else readRecorded(read, event);
  }
  return read;
}

function readRecorded(read: ReadTape, event: TapeEvent): void {
  read.seqs.push(event.seq);
  const { kind, payload, series } = event.type === "partial" ? bodyOf({ ...event, type: "partial" }) : { series: null };
  if (!series || series.mode === "all") read.others.push(`${event.seq} ${event.body}`);
  else put(read, { kind: kind!, payload: payload!, series });
}

function readFolded(read: ReadTape, { first_seq: firstSeq, parts }: EventBodies["folded"], lastSeq: bigint): void {
  let count = 0;
  for (const part of parts) {
    put(read, { ...part.partial, payload: mergedPayload(part) });
    assert.ok(BigInt(part.first_seq) >= BigInt(firstSeq) && BigInt(part.last_seq) <= lastSeq);
    count += part.count;
  }
  for (let seq = BigInt(firstSeq); seq <= lastSeq; seq++) read.seqs.push(seq);
  assert.equal(BigInt(count), lastSeq - BigInt(firstSeq) + 1n);
}

function put(read: ReadTape, { kind, payload, series }: { kind: string; payload: JsonObject; series: Series }): void {
  const key = JSON.stringify([kind, series.name, series.mode, series.field]);
  if (series.mode === "append") {
    read.texts[key] = (read.texts[key] ?? "") + (payload[series.field!] as string);
    payload = { ...payload, [series.field!]: "" };
  }
  read.latest[key] = JSON.stringify(payload);
}

/** Numbers events as a tape does. */
export function numbered(events: readonly NewEvent[]): TapeEvent[] {
  return events.map((event, index) => ({ ...event, seq: BigInt(index + 1), time: new Date(index) }));
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }).map((value) => value.toWellFormed()),
  fc.constantFrom("", "Tokyo ", "é", "😀", '"', "\n", "x".repeat(60)),
);
const name = fc.constantFrom("a", "b", "", "1:a");
const series: fc.Arbitrary<Series> = fc.oneof(
  fc.record({ name, mode: fc.constant("append" as const), field: fc.constantFrom("text", "__proto__") }),
  fc.record({ name, mode: fc.constantFrom("latest" as const, "all" as const) }),
);
const rest = fc.dictionary(fc.constantFrom("n", "index", "7"), fc.integer(), { maxKeys: 2 });

const partial = fc
  .tuple(fc.constantFrom("delta", "state", "1:d"), series, text, rest)
  .map(([kind, of, value, more]) => {
    const field = of.field ?? "text";
    const payload = JSON.parse(`{${JSON.stringify(field)}:${JSON.stringify(value)}}`) as JsonObject;
    return newEvent("partial", { kind, payload: { ...more, ...payload }, series: of });
  });
const other = fc.oneof(
  text.map((message) => newEvent("log", { level: "INFO", message })),
  text.map((value) => newEvent("partial", { kind: "delta", payload: { text: value, note: '"series"' } })),
);

/** A tape with a few series, whose partials follow each other often. */
export const seriesTape: fc.Arbitrary<TapeEvent[]> = fc
  .array(fc.oneof({ weight: 6, arbitrary: partial }, { weight: 1, arbitrary: other }), { maxLength: 60 })
  .map(numbered);
