import { readFileSync } from "node:fs";
import { join } from "node:path";

const OPERATING = join(import.meta.dirname, "../../docs/operating.md");

type MetricType = "counter" | "gauge" | "histogram";

export interface Metric {
  type: MetricType;
  /** Each with the values that it takes; null: any. */
  labels: Map<string, ReadonlySet<string> | null>;
  /** Every server tells the same. */
  isOfNamespace: boolean;
}

const TABLE = /^\| metric \| type \| labels \| what \|\n\|[-|]+\|\n((?:\|.*\n)+)/m;
const ROW = /^\| `(?<name>\w+)` \| (?<type>counter|gauge|histogram) \|(?<labels>[^|]*)\| (?<what>[^|]+) \|$/;
const LABEL = /`(\w+)`(?: \(([^)]*)\))?/g;
/** What Prometheus adds itself. */
const OF_TARGET = ["job", "instance"];
const SERIES_OF_HISTOGRAM = ["_bucket", "_sum", "_count"];

export function readOperating(): string {
  return readFileSync(OPERATING, "utf8");
}

/** By series: a histogram has three. @throws Error where a row of the table is not understood */
export function documentedMetrics(): Map<string, Metric> {
  const [, rows] = TABLE.exec(readOperating()) ?? [];
  if (rows === undefined) throw new Error("docs/operating.md has no table of metrics");
  const metrics = new Map<string, Metric>([["up", metric("gauge", "", "")]]);
  for (const row of rows.trimEnd().split("\n")) {
    const { groups } = ROW.exec(row) ?? {};
    if (groups === undefined) throw new Error(`no row of a metric: ${row}`);
    const { name, type, labels, what } = groups as { name: string; type: MetricType; labels: string; what: string };
    const suffixes = type === "histogram" ? SERIES_OF_HISTOGRAM : [""];
    for (const suffix of suffixes) metrics.set(name + suffix, metric(type, labels, what));
    metrics.get(`${name}_bucket`)?.labels.set("le", null);
  }
  return metrics;
}

function metric(type: MetricType, labels: string, what: string): Metric {
  const named = [...labels.matchAll(LABEL)].map(([, label, values]) => [label!, valuesIn(values)] as const);
  const ofTarget = OF_TARGET.map((label) => [label, null] as const);
  return { type, labels: new Map([...named, ...ofTarget]), isOfNamespace: what.startsWith("of the namespace") };
}

/** Values in backticks; a list that ends in … says only of what kind they are. */
function valuesIn(list: string | undefined): ReadonlySet<string> | null {
  if (list === undefined || list.includes("…")) return null;
  return new Set([...list.matchAll(/`([^`]+)`/g)].map(([, value]) => value!));
}
