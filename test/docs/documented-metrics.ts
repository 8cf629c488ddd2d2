import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";

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
const ROW =
  /^\| (?<names>`\w+`(?:, `\w+`)*) \| (?<type>counter|gauge|histogram) \|(?<labels>[^|]*)\| (?<what>[^|]+) \|$/;
/** What callers, kinds and releases make up. */
const OPEN_LABELS = ["kind", "method", "version", "node"];
const CODES = new Set([
  "ok",
  ...Object.values(Code)
    .filter((code) => typeof code === "number")
    .map(codeToString),
]);
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
    const { names, type, labels, what } = groups as { names: string; type: MetricType; labels: string; what: string };
    const suffixes = type === "histogram" ? SERIES_OF_HISTOGRAM : [""];
    for (const [name] of names.matchAll(/\w+/g)) {
      for (const suffix of suffixes) metrics.set(name + suffix, metric(type, labels, what));
      metrics.get(`${name}_bucket`)?.labels.set("le", null);
    }
  }
  return metrics;
}

function metric(type: MetricType, labels: string, what: string): Metric {
  const named = [...labels.matchAll(LABEL)].map(([, label, values]) => [label!, valuesOf(label!, values)] as const);
  const ofTarget = OF_TARGET.map((label) => [label, null] as const);
  return { type, labels: new Map([...named, ...ofTarget]), isOfNamespace: /^of the namespaces?\b/.test(what) };
}

/** Values in backticks; of codes the table gives examples. */
function valuesOf(label: string, list: string | undefined): ReadonlySet<string> | null {
  if (OPEN_LABELS.includes(label)) return null;
  if (label === "code") return CODES;
  if (list === undefined) throw new Error(`the table of metrics says no values of ${label}`);
  return new Set([...list.matchAll(/`([^`]+)`/g)].map(([, value]) => value!));
}
