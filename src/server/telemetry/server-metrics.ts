import type { Logger } from "pino";
import type { EngineGauges, EngineObserver } from "../../engine/api/engine-observer.ts";
import { UNOBSERVED } from "../../engine/api/engine-observer.ts";
import { readBacklog } from "../../store/reports/backlog.ts";
import type { Store } from "../../store/database.ts";
import { BacklogMetrics } from "./backlog-metrics.ts";
import type { Configuration } from "../config/configuration.ts";
import { EngineMetrics, kindSeries } from "./engine-metrics.ts";
import { LabelledKinds } from "./labelled-kinds.ts";
import { NO_METRICS, openMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import { openOtlpReader } from "./otlp-metrics.ts";
import { observeEngine, observeStore } from "./standing-metrics.ts";
import { logOtelDiagnostics } from "./otel-diagnostics.ts";
import type { telemetryResource } from "./resource.ts";

/** The metrics of a server: endpoints, engine and database. */
export interface ServerMetrics extends Metrics {
  /** Receives the events of the engine. */
  readonly observer: EngineObserver;
  /** Adds the gauges of the engines, once per server. @param kinds the names of the kinds that this process runs */
  observe(engines: ObservedEngines, kinds: readonly string[]): void;
}

/** The engines of a server, and the namespaces that they serve. */
interface ObservedEngines {
  readonly namespaces: readonly string[];
  gauges(): EngineGauges;
}

/** Opens the metrics of a server. @param isOpen whether the schema is known to be current */
export async function openServerMetrics(parts: {
  configuration: Pick<Configuration, "metrics">;
  store: Pick<Store, "db" | "stats">;
  isOpen: () => boolean;
  resource: ReturnType<typeof telemetryResource>;
  log: Logger;
}): Promise<ServerMetrics> {
  const { configuration, store, resource, isOpen, log } = parts;
  if (!configuration.metrics) return { ...NO_METRICS, observer: UNOBSERVED, observe() {} };
  logOtelDiagnostics(log);
  let engines: ObservedEngines | null = null;
  const kinds = new LabelledKinds(kindSeries);
  const backlog = new BacklogMetrics(kinds, async (query) => {
    if (!isOpen() || engines === null) throw new Error("the database is not open yet");
    return readBacklog(store.db, { namespaces: engines.namespaces, ...query });
  });
  const otlp = await openOtlpReader([backlog]);
  const metrics = openMetrics({ resource, producers: [backlog], readers: otlp === null ? [] : [otlp] });
  const observer = new EngineMetrics(metrics.meter, kinds);
  observeStore(metrics.meter, () => store.stats());
  return {
    ...metrics,
    observer,
    observe(observed, own) {
      engines = observed;
      for (const kind of own) kinds.ofRun(kind);
      observeEngine(metrics.meter, kinds, () => observed.gauges());
    },
    async [Symbol.asyncDispose]() {
      await metrics[Symbol.asyncDispose]();
      await backlog[Symbol.asyncDispose]();
    },
  };
}
