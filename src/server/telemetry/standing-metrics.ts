import type { Meter, Observable, ObservableResult } from "@opentelemetry/api";
import type { EngineGauges } from "../../engine/api/engine-metrics.ts";
import type { StoreFigures } from "../../store/database.ts";
import type { KindSeries } from "./engine-metrics.ts";
import type { LabelledKinds } from "./labelled-kinds.ts";

/** Gauges of how an engine stands, and the pages that it has given. */
export function observeEngine(meter: Meter, kinds: LabelledKinds<KindSeries>, gauges: () => EngineGauges): void {
  const gauge = (name: string, description: string) => meter.createObservableGauge(name, { description });
  const running = gauge("spool_tasks_running", "Tasks that run through this server");
  const followers = gauge("spool_followers", "Who follows, long polls included");
  const slots = gauge("spool_slots", "Of this server and its workers");
  const unstored = gauge("spool_ends_unstored", "Attempts whose code has ended and whose end could not be stored yet");
  const workers = gauge("spool_workers", "Workers that are connected");
  const pages = meter.createObservableCounter("spool_pages_total", { description: "Pages of tapes that were given" });
  meter.addBatchObservableCallback(
    (result) => {
      const now = gauges();
      const observe = (observed: Observable, label: string, values: Record<string, number>) => {
        for (const [value, count] of Object.entries(values)) result.observe(observed, count, { [label]: value });
      };
      for (const [kind, count] of sumByLabel(kinds, now.running)) result.observe(running, count, { kind });
      observe(followers, "of", { tape: now.tapeFollowers, tasks: now.taskFollowers });
      observe(slots, "state", { busy: now.slots - now.freeSlots, free: now.freeSlots });
      result.observe(unstored, now.unstoredEnds);
      result.observe(workers, now.workers);
      observe(pages, "from", { feed: now.feedPages, kept: now.keptPages, store: now.storePages });
    },
    [running, followers, slots, unstored, workers, pages],
  );
}

/** Gauges of a server's pool (there is none in this process), and the statements that have failed. */
export function observeStore(meter: Meter, figures: () => StoreFigures): void {
  meter
    .createObservableCounter("spool_database_errors_total", { description: "Statements that failed" })
    .addCallback((result) => {
      for (const [reason, count] of Object.entries(figures().errors)) result.observe(count, { reason });
    });
  if (figures().pool === null) return;
  const gauge = (name: string, description: string, observe: (pool: Pool, result: ObservableResult) => void) =>
    meter.createObservableGauge(name, { description }).addCallback((result) => observe(figures().pool!, result));
  gauge("spool_database_connections", "Of the pool", ({ connections, idle }, result) => {
    result.observe(connections - idle, { state: "busy" });
    result.observe(idle, { state: "idle" });
  });
  const counter = (name: string, description: string) => meter.createObservableCounter(name, { description });
  counter("spool_database_connections_dropped_total", "Connections that were dropped").addCallback((result) => {
    for (const [reason, count] of Object.entries(figures().pool!.dropped)) result.observe(count, { reason });
  });
  counter("spool_database_waits_given_up_total", "Statements that no connection became free for").addCallback(
    (result) => result.observe(figures().pool!.timeouts),
  );
  gauge("spool_database_connections_max", "The bound of the pool", (pool, result) =>
    result.observe(pool.connectionsMax),
  );
  gauge("spool_database_waiting", "Statements that wait for a connection", (pool, result) =>
    result.observe(pool.waiting),
  );
}

type Pool = NonNullable<StoreFigures["pool"]>;

/** Zero where there is none: a series that comes and goes is neither drawn nor compared. */
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
