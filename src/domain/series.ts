import type { JsonObject } from "./json.ts";

export const SERIES_MODES = ["append", "latest", "all"] as const;

/**
 * How the partials of one series belong together. `append`: each continues the text of the series. `latest`: each
 * replaces the one before it. `all`: each stands for itself.
 */
export type SeriesMode = (typeof SERIES_MODES)[number];

/** The series that a partial continues. Partials of one task with the same kind and series name are one series. */
export interface SeriesOptions {
  /** 1 to 128 characters. */
  name: string;
  mode: SeriesMode;
  /** Only with `append`: the field of the payload that holds the text, at most 128 characters. Default: `text`. */
  field?: string | undefined;
}

/** A series as recorded. */
export interface Series {
  name: string;
  mode: SeriesMode;
  /** Set with `append` only. */
  field?: string;
}

/** How a reader sees a tape: every event as recorded, or with runs of series partials as one event each. */
export type EventView = "recorded" | "folded";

/** The partials of one series in a run. */
export interface FoldedPartBody {
  /** The last of them, as recorded. */
  partial: { kind: string; payload: JsonObject; series: Series };
  /** With `append`: the joined text of all of them. */
  text?: string;
  count: number;
  /** Seqs are decimal text: JSON numbers may be rounded. */
  first_seq: string;
  last_seq: string;
}

/** The body of a folded event. */
export interface FoldedBody {
  first_seq: string;
  /** One for each series, in the order of their first events. */
  parts: FoldedPartBody[];
}

/** Returns the payload that a reader sees: that of the last partial, with the joined text of the run. */
export function mergedPayload({ partial: { payload, series }, text }: FoldedPartBody): JsonObject {
  return text === undefined ? payload : { ...payload, [series.field!]: text };
}
