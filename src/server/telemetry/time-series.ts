import type { Attributes, Meter } from "@opentelemetry/api";

/** One time series of a counter: its labels, made once, and what was counted. */
export interface Series {
  readonly attributes: Attributes;
  count: number;
}

export function seriesOf(attributes: Attributes): Series {
  return { attributes, count: 0 };
}

/** A series for each value that a label has. */
export function seriesBy<Value extends string>(
  label: string,
  values: readonly Value[],
  attributes: Attributes = {},
): Record<Value, Series> {
  const series = values.map((value) => [value, seriesOf({ ...attributes, [label]: value })]);
  return Object.fromEntries(series) as Record<Value, Series>;
}

/** Makes a counter of series that are read when somebody asks for them. */
export function observeSeries(
  meter: Meter,
  { name, description }: { name: string; description: string },
  read: () => Iterable<Series>,
): void {
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const { count, attributes } of read()) result.observe(count, attributes);
  });
}
