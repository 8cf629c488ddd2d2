import type { JsonObject } from "../../domain/json.ts";
import type { SeriesMode } from "../../domain/series.ts";
import type { FoldedPart, SpoolEvent } from "../types.ts";

/** What the events so far say of one series. */
export interface SeriesState {
  /** The kind of the partials, and the name of the series: together, they identify the series on its tape. */
  readonly kind: string;
  readonly name: string;
  readonly mode: SeriesMode;
  /** The text so far, with mode `append`; otherwise empty. */
  readonly text: string;
  /** The last payload. With mode `append`, its field has the text so far. */
  readonly payload: JsonObject;
  /** How many recorded partials the state stands for. */
  readonly count: number;
}

/** A series that an event has changed. */
export interface SeriesUpdate {
  /** The series after the event. */
  readonly series: SeriesState;
  /** The text that the event has added, with mode `append`; otherwise empty. */
  readonly added: string;
}

/**
 * Keeps the series of one tape: the text of each, or the last payload. Give it the events of the tape as they come, in
 * either view, with or without the events that are not partials. Events that it has read already change nothing, so a
 * follower may begin again at an earlier seq.
 */
export class SeriesReader {
  readonly #series = new Map<string, SeriesState>();
  #lastSeq = 0n;

  /** The seq after the last event: where a follower continues. */
  get nextFromSeq(): bigint {
    return this.#lastSeq + 1n;
  }

  /** All series, in the order of their first events. */
  get all(): SeriesState[] {
    return [...this.#series.values()];
  }

  /** Returns a series; undefined if no event of it was read. */
  get(kind: string, name: string): SeriesState | undefined {
    return this.#series.get(keyOf(kind, name));
  }

  /** Returns the text of a series so far; empty if there is none. */
  text(kind: string, name: string): string {
    return this.get(kind, name)?.text ?? "";
  }

  /**
   * Reads the next event. @returns the series that the event has changed
   *
   * @throws RangeError for a folded event of which a part was read before: follow from `nextFromSeq`
   */
  read(event: SpoolEvent): SeriesUpdate[] {
    if (event.seq <= this.#lastSeq) return [];
    if (event.type === "folded" && event.firstSeq <= this.#lastSeq) {
      const range = `${event.firstSeq} to ${event.seq}`;
      throw new RangeError(`the folded event ${range} was read up to ${this.#lastSeq}: follow from nextFromSeq`);
    }
    this.#lastSeq = event.seq;
    if (event.type === "folded") return event.parts.map((part) => this.#add(part));
    if (event.type !== "partial" || event.series === undefined) return [];
    return [this.#add({ ...event, series: event.series, count: 1 })];
  }

  #add({ kind, payload, series, count }: Pick<FoldedPart, "kind" | "payload" | "series" | "count">): SeriesUpdate {
    const { name, mode, field } = series;
    const key = keyOf(kind, name);
    const before = this.#series.get(key);
    const value = field === undefined ? "" : payload[field];
    const added = typeof value === "string" ? value : "";
    const text = (before?.text ?? "") + added;
    const whole = field === undefined ? payload : { ...payload, [field]: text };
    const state = { kind, name, mode, text, payload: whole, count: (before?.count ?? 0) + count };
    this.#series.set(key, state);
    return { series: state, added };
  }
}

function keyOf(kind: string, name: string): string {
  return JSON.stringify([kind, name]);
}
