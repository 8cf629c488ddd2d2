import { create } from "@bufbuild/protobuf";
import type { Series, SeriesMode } from "../domain/series.ts";
import { SeriesMode as SeriesModeValue, SeriesSchema } from "../gen/spool/v1/event_pb.ts";
import type { Series as SeriesMessage } from "../gen/spool/v1/event_pb.ts";

const VALUES = {
  append: SeriesModeValue.APPEND,
  latest: SeriesModeValue.LATEST,
  all: SeriesModeValue.ALL,
} satisfies Record<SeriesMode, SeriesModeValue>;

const MODES: ReadonlyMap<SeriesModeValue, SeriesMode> = new Map(
  Object.entries(VALUES).map(([mode, value]) => [value, mode as SeriesMode]),
);

export function toSeriesModeValue(mode: SeriesMode): SeriesModeValue {
  return VALUES[mode];
}

/** @returns undefined for UNSPECIFIED and for modes that this version does not know */
export function fromSeriesModeValue(value: SeriesModeValue): SeriesMode | undefined {
  return MODES.get(value);
}

export function toSeriesMessage({ name, mode, field = "" }: Series): SeriesMessage {
  return create(SeriesSchema, { name, mode: toSeriesModeValue(mode), field });
}

/** Returns the series of an event. A mode of a later version reads as `all`: no event is lost. */
export function fromSeriesMessage({ name, mode: value, field }: SeriesMessage): Series {
  const mode = fromSeriesModeValue(value) ?? "all";
  return { name, mode, ...(mode === "append" && { field }) };
}
