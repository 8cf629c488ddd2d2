import type { Attributes, Meter } from "@opentelemetry/api";

/** One time series of a counter: its labels, created once, and its count. */
export interface Series {
  readonly attributes: Attributes;
  count: number;
}

/** Creates a series at zero. */
export function seriesOf(attributes: Attributes): Series {
  return { attributes, count: 0 };
}

/** Creates a series for each value of a label. */
export function seriesBy<Value extends string>(
  label: string,
  values: readonly Value[],
  attributes: Attributes = {},
): Record<Value, Series> {
  const series = values.map((value) => [value, seriesOf({ ...attributes, [label]: value })]);
  return Object.fromEntries(series) as Record<Value, Series>;
}

/** Creates a counter whose series are read at each scrape. */
export function observeSeries(
  meter: Meter,
  { name, description }: { name: string; description: string },
  read: () => Iterable<Series>,
): void {
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const { count, attributes } of read()) result.observe(count, attributes);
  });
}
