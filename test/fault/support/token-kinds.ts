import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import type { JsonObject } from "../../../src/domain/json.ts";
import type { SeriesOptions } from "../../../src/domain/series.ts";
import { defineKind } from "../../../src/kinds/define-kind.ts";

/** So many deltas are emitted between two pauses. */
const BURST = 100;
const STATE_EVERY = 7;
const LOG_EVERY = 500;

export type TokenEvent =
  { type: "partial"; kind: string; payload: JsonObject; series: SeriesOptions } | { type: "log"; message: string };

/**
 * Returns what a task of kind `fault-tokens` emits, in order: the deltas of a text and, if it is mixed, the states of a
 * counter and log lines between them. The event with index 0 has seq 2.
 */
export function tokenEvents({ deltas, mixed }: { deltas: number; mixed: boolean }): TokenEvent[] {
  const events: TokenEvent[] = [];
  for (let index = 0; index < deltas; index++) {
    const text = index % 97 === 0 ? "東京 😀\n" : ` t${index.toString(36)}`;
    events.push({ type: "partial", kind: "delta", payload: { text }, series: { name: "answer", mode: "append" } });
    if (!mixed) continue;
    const state: JsonObject = { done: index };
    if (index % STATE_EVERY === 0) {
      events.push({ type: "partial", kind: "state", payload: state, series: { name: "count", mode: "latest" } });
    }
    if (index % LOG_EVERY === 0) events.push({ type: "log", message: `${index} deltas` });
  }
  return events;
}

/** Emits a text in deltas, as a model does. */
export const tokens = defineKind({
  name: "fault-tokens",
  params: v.strictObject({
    deltas: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000)),
    mixed: v.boolean(),
    pause_ms: v.pipe(v.number(), v.minValue(0), v.maxValue(1_000)),
  }),
  async run({ params: { deltas, mixed, pause_ms: pauseMs }, signal, ...task }) {
    for (const [index, event] of tokenEvents({ deltas, mixed }).entries()) {
      if (event.type === "log") await task.log("INFO", event.message);
      else await task.partial(event.kind, event.payload, { series: event.series });
      if (index % BURST === BURST - 1 && pauseMs > 0) await setTimeout(pauseMs, undefined, { signal });
    }
    return { deltas };
  },
});
