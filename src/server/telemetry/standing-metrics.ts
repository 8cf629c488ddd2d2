import type { Meter, Observable, ObservableResult } from "@opentelemetry/api";
import type { EngineGauges } from "../../engine/api/engine-observer.ts";
import type { StandbyStats } from "../../engine/read/standby-reads.ts";
import type { StoreStats } from "../../store/database.ts";
import type { KindSeries } from "./engine-metrics.ts";
import type { LabelledKinds } from "./labelled-kinds.ts";

/** Creates the gauges of an engine and the counter of its pages. */
export function observeEngine(meter: Meter, kinds: LabelledKinds<KindSeries>, gauges: () => EngineGauges): void {
  const gauge = (name: string, description: string) => meter.createObservableGauge(name, { description });
  const running = gauge("spool_tasks_running", "Running tasks of this server and its workers");
  const followers = gauge("spool_followers", "Open followers, including long polls");
  const slots = gauge("spool_slots", "Slots of this server and its workers, by state");
  const unstored = gauge("spool_ends_unstored", "Attempts whose code has ended and whose end is not stored yet");
  const overdue = gauge("spool_removal_overdue_seconds", "How long the oldest task has been due to be removed");
  const workers = gauge("spool_workers", "Connected workers");
  const pages = meter.createObservableCounter("spool_pages_total", { description: "Served pages of tapes, by source" });
  meter.addBatchObservableCallback(
    (result) => {
      const now = gauges();
      const observe = (observed: Observable, label: string, values: Record<string, number>) => {
        for (const [value, count] of Object.entries(values)) result.observe(observed, count, { [label]: value });
      };
      for (const [kind, count] of sumByLabel(kinds, now.running)) result.observe(running, count, { kind });
      observe(followers, "of", { tape: now.tapeFollowers, tasks: now.taskFollowers });
      observe(slots, "state", slotsByState(now.budgets));
      result.observe(unstored, now.unstoredEnds);
      result.observe(overdue, now.removalOverdueMs / 1_000);
      result.observe(workers, now.workers);
      observe(pages, "from", { feed: now.feedPages, kept: now.cachedPages, store: now.storePages });
    },
    [running, followers, slots, unstored, overdue, workers, pages],
  );
}

function slotsByState(budgets: EngineGauges["budgets"]): { busy: number; free: number } {
  const sums = { busy: 0, free: 0 };
  for (const { slots, free } of budgets) {
    sums.busy += slots - free;
    sums.free += free;
  }
  return sums;
}

/** Creates the gauge of the namespaces that this server cannot serve. */
export function observeUnserved(meter: Meter, unserved: () => number): void {
  const description = "Namespaces that this server cannot serve, because their shard cannot be reached";
  meter.createObservableGauge("spool_namespaces_unserved", { description }).addCallback((result) => {
    result.observe(unserved());
  });
}

/** The reads of a standby, with the labels of its series: none for the standby of the first shard. */
interface LabelledStandby {
  labels: Readonly<Record<string, string>>;
  stats: StandbyStats;
}

/** Creates the metrics of reads that standbys may serve. Without a standby, they have no series. */
export function observeStandbys(meter: Meter, all: () => readonly LabelledStandby[]): void {
  const reads = "Reads that a standby may serve, by who served them";
  meter.createObservableCounter("spool_standby_reads_total", { description: reads }).addCallback((result) => {
    for (const { labels, stats } of all()) {
      for (const [outcome, count] of Object.entries(stats.reads)) result.observe(count, { outcome, ...labels });
    }
  });
  const lag = "How much of the write-ahead log the standby has not replayed";
  meter.createObservableGauge("spool_standby_lag_bytes", { description: lag }).addCallback((result) => {
    for (const { labels, stats } of all()) if (stats.lagBytes !== null) result.observe(stats.lagBytes, labels);
  });
}

/** What a store counts, with the labels of its series: none for the first shard. */
interface LabelledStats {
  labels: Readonly<Record<string, string>>;
  stats: StoreStats;
}

/** Creates the metrics of the connection pools (an embedded database has none) and of failed statements. */
export function observeStores(meter: Meter, all: () => readonly LabelledStats[]): void {
  meter
    .createObservableCounter("spool_database_errors_total", { description: "Failed statements, by reason" })
    .addCallback((result) => {
      for (const { labels, stats } of all()) {
        for (const [reason, count] of Object.entries(stats.errors)) result.observe(count, { reason, ...labels });
      }
    });
  if (all()[0]!.stats.pool === null) return;
  type Observe = (value: number, labels?: Record<string, string>) => void;
  const eachPool = (observe: (pool: Pool, report: Observe) => void) => (result: ObservableResult) => {
    for (const { labels, stats } of all()) {
      observe(stats.pool!, (value, own) => result.observe(value, { ...own, ...labels }));
    }
  };
  const gauge = (name: string, description: string, observe: (pool: Pool, report: Observe) => void) =>
    meter.createObservableGauge(name, { description }).addCallback(eachPool(observe));
  gauge("spool_database_connections", "Connections of the pool, by state", ({ connections, idle }, report) => {
    report(connections - idle, { state: "busy" });
    report(idle, { state: "idle" });
  });
  const counter = (name: string, description: string, observe: (pool: Pool, report: Observe) => void) =>
    meter.createObservableCounter(name, { description }).addCallback(eachPool(observe));
  counter("spool_database_connections_dropped_total", "Dropped connections, by reason", ({ dropped }, report) => {
    for (const [reason, count] of Object.entries(dropped)) report(count, { reason });
  });
  counter(
    "spool_database_waits_given_up_total",
    "Statements that timed out waiting for a connection",
    ({ timeouts }, report) => report(timeouts),
  );
  gauge("spool_database_connections_max", "Maximum connections of the pool", ({ connectionsMax }, report) =>
    report(connectionsMax),
  );
  gauge("spool_database_waiting", "Statements waiting for a connection", ({ waiting }, report) => report(waiting));
}

type Pool = NonNullable<StoreStats["pool"]>;

/** Sums up by label. Labels without tasks get zero: a series with gaps cannot be graphed or compared. */
function sumByLabel(
  kinds: LabelledKinds<KindSeries>,
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const sums = new Map(kinds.all.map(({ label }) => [label, 0]));
  for (const [kind, count] of counts) {
    const { label } = kinds.ofRun(kind);
    sums.set(label, (sums.get(label) ?? 0) + count);
  }
  return sums;
}
