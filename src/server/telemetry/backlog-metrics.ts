import { ValueType } from "@opentelemetry/api";
import { millisToHrTime } from "@opentelemetry/core";
import { emptyResource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { CollectionResult, GaugeMetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { CachedQuery } from "../../async/cached-query.ts";
import { within } from "../../async/time-limit.ts";
import type { KindBacklog } from "../../store/reports/backlog.ts";
import type { KindSeries } from "./engine-metrics.ts";
import { KIND_LABELS_MAX, OTHER_KINDS } from "./labelled-kinds.ts";
import type { LabelledKinds } from "./labelled-kinds.ts";

/** Cached for 5 s, or for 9 times the query time if that is longer: counting takes a tenth of a connection's time. */
const CACHE_MS = 5_000;
const CACHE_FACTOR = 9;
/** How long a scrape waits for the count. */
const SCRAPE_WAIT_MS = 1_000;
/** After this time a count is too old to be reported. */
const REPORT_MS_MAX = 60_000;

type Waiting = Omit<KindBacklog, "kind">;

type Count = (query: { kinds: readonly string[]; kindsMax: number }) => Promise<readonly KindBacklog[]>;

/**
 * Gauges of waiting tasks, which are counted in the database. If counting fails, there are no gauges (a gauge of the
 * SDK would repeat its last value). A scrape waits at most 1 s for the count: a later count is reported to the next
 * scrape.
 */
export class BacklogMetrics implements MetricProducer, AsyncDisposable {
  readonly #kinds: LabelledKinds<KindSeries>;
  readonly #count: Count;
  readonly #clock: () => number;
  readonly #counting: CachedQuery<void>;
  /** The last count; null if it failed. */
  #counted: { backlog: ReadonlyMap<string, Waiting>; atMs: number } | null = null;

  /** @param clock in ms, never set back */
  constructor(kinds: LabelledKinds<KindSeries>, count: Count, clock = () => performance.now()) {
    this.#kinds = kinds;
    this.#count = count;
    this.#clock = clock;
    this.#counting = new CachedQuery(() => this.#countAnew(), {
      maxAgeMs: CACHE_MS,
      ageFactor: CACHE_FACTOR,
      clock,
    });
  }

  async collect(): Promise<CollectionResult> {
    await within(
      this.#counting.read().catch(() => {}),
      SCRAPE_WAIT_MS,
    );
    const isReported = this.#counted !== null && this.#clock() - this.#counted.atMs <= REPORT_MS_MAX;
    const scopeMetrics = isReported ? [{ scope: { name: "spool" }, metrics: gauges(this.#counted!.backlog) }] : [];
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }

  /** Waits until no query runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#counting.settled();
  }

  async #countAnew(): Promise<void> {
    try {
      const counted = await this.#count({ kinds: this.#kinds.labels, kindsMax: KIND_LABELS_MAX });
      this.#counted = { backlog: this.#byLabel(counted), atMs: this.#clock() };
    } catch (error) {
      this.#counted = null;
      throw error;
    }
  }

  /** Sums up by label. Labels without tasks get zero: a series with gaps cannot be graphed or compared. */
  #byLabel(counted: readonly KindBacklog[]): ReadonlyMap<string, Waiting> {
    const labels = new Map(counted.map(({ kind }) => [kind, this.#kinds.of(kind ?? OTHER_KINDS).label]));
    const none: Waiting = { waiting: 0, oldestMs: 0, delayed: 0 };
    const sums = new Map(this.#kinds.all.map(({ label }) => [label, none]));
    for (const { kind, waiting, oldestMs, delayed } of counted) {
      const label = labels.get(kind)!;
      const sum = sums.get(label)!;
      sums.set(label, {
        waiting: sum.waiting + waiting,
        oldestMs: Math.max(sum.oldestMs, oldestMs),
        delayed: sum.delayed + delayed,
      });
    }
    return sums;
  }
}

function gauges(backlog: ReadonlyMap<string, Waiting>): GaugeMetricData[] {
  const now = millisToHrTime(Date.now());
  const gauge = (name: string, description: string, value: (waiting: Waiting) => number): GaugeMetricData => ({
    descriptor: { name, description, unit: "", valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: [...backlog].map(([kind, waiting]) => ({
      attributes: { kind },
      startTime: now,
      endTime: now,
      value: value(waiting),
    })),
  });
  return [
    gauge("spool_tasks_waiting", "Pending tasks of the served namespaces that are due", ({ waiting }) => waiting),
    gauge(
      "spool_tasks_waiting_oldest_seconds",
      "How long the oldest waiting task has been due",
      (kind) => kind.oldestMs / 1_000,
    ),
    gauge("spool_tasks_delayed", "Pending tasks of the served namespaces that are due later", ({ delayed }) => delayed),
  ];
}
