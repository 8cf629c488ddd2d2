import type { JsonObject } from "../../domain/json.ts";
import type { FoldedPart, SpoolEvent } from "../../client/types.ts";

/** The series that are shown: those that changed last. */
export const SERIES_MAX = 20;
/** How much of the end of each text is shown, in characters. */
export const TAIL_CHARS_MAX = 50_000;

/** The state of a series: the end of its text, or its last payload. */
export interface SeriesTail {
  readonly kind: string;
  readonly name: string;
  /** null: the series has no text. */
  readonly text: string | null;
  /** The characters of the whole text that was read. */
  readonly chars: number;
  readonly payload: JsonObject;
  /** How many recorded events it stands for. */
  readonly count: number;
}

/** Keeps the state of the series of a tape, in bounded memory. */
export class SeriesTails {
  /** By kind and name, ordered by last change. */
  readonly #tails = new Map<string, SeriesTail>();
  /** Whether series were left out. */
  hasMore = false;

  /** The series, by kind and name. */
  get all(): SeriesTail[] {
    const shown = Array.from(this.#tails.values(), (tail) => ({
      ...tail,
      text: tail.text === null ? null : tail.text.slice(-TAIL_CHARS_MAX),
    }));
    return shown.toSorted((one, other) => (keyOf(one.kind, one.name) < keyOf(other.kind, other.name) ? -1 : 1));
  }

  take(event: SpoolEvent): void {
    if (event.type === "folded") for (const part of event.parts) this.#add(part);
    else if (event.type === "partial" && event.series) this.#add({ ...event, series: event.series, count: 1 });
  }

  #add({ kind, payload, series, count }: Pick<FoldedPart, "kind" | "payload" | "series" | "count">): void {
    if (series.mode === "all") return; // Each of its partials stands for itself, in the list of events.
    const key = keyOf(kind, series.name);
    const before = this.#tails.get(key);
    const added = series.field === undefined ? null : payload[series.field];
    let text = before?.text ?? null;
    if (typeof added === "string") {
      text = (text ?? "") + added;
      if (text.length > 2 * TAIL_CHARS_MAX) text = text.slice(-TAIL_CHARS_MAX);
    }
    const chars = (before?.chars ?? 0) + (typeof added === "string" ? added.length : 0);
    this.#tails.delete(key);
    this.#tails.set(key, { kind, name: series.name, text, chars, payload, count: (before?.count ?? 0) + count });
    if (this.#tails.size <= SERIES_MAX) return;
    this.hasMore = true;
    this.#tails.delete(this.#tails.keys().next().value!);
  }
}

function keyOf(kind: string, name: string): string {
  return JSON.stringify([kind, name]);
}
