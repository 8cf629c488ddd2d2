import type { Logger } from "pino";
import type { EngineGauges, EngineObserver } from "../../engine/api/engine-observer.ts";
import { UNOBSERVED } from "../../engine/api/engine-observer.ts";
import { HOME_SHARD } from "../../domain/shard.ts";
import type { Shard } from "../../engine/namespaces/shards.ts";
import { readBacklog } from "../../store/reports/backlog.ts";
import type { KindBacklog } from "../../store/reports/backlog.ts";
import type { Store } from "../../store/database.ts";
import { BacklogMetrics } from "./backlog-metrics.ts";
import type { Configuration } from "../config/configuration.ts";
import { EngineMetrics, kindSeries } from "./engine-metrics.ts";
import { LabelledKinds } from "./labelled-kinds.ts";
import { NO_METRICS, openMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import { openOtlpReader } from "./otlp-metrics.ts";
import { observeEngine, observeStandbys, observeStores, observeUnserved } from "./standing-metrics.ts";
import { logOtelDiagnostics } from "./otel-diagnostics.ts";
import type { telemetryResource } from "./resource.ts";

/** The metrics of a server: endpoints, engine and database. */
export interface ServerMetrics extends Metrics {
  /** Receives the events of the engine. */
  readonly observer: EngineObserver;
  /** Adds the gauges of the engines, once per server. @param kinds the names of the kinds that this process runs */
  observe(engines: ObservedEngines, kinds: readonly string[]): void;
}

/** The engines of a server, and the shards that they run on, the first one first. */
interface ObservedEngines {
  readonly shards: { readonly all: readonly Shard[] };
  namespacesOn(shard: Shard): readonly string[];
  /** The number of namespaces that this server cannot serve now. */
  readonly unserved: number;
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
    return countBacklog(engines, query);
  });
  const otlp = await openOtlpReader([backlog]);
  const metrics = openMetrics({ resource, producers: [backlog], readers: otlp === null ? [] : [otlp] });
  const observer = new EngineMetrics(metrics.meter, kinds);
  observeStores(metrics.meter, () => [
    { labels: {}, stats: store.stats() },
    ...(engines?.shards.all
      .slice(1)
      .map(({ name, parts: on }) => ({ labels: { shard: name }, stats: on.store.stats() })) ?? []),
  ]);
  return {
    ...metrics,
    observer,
    observe(observed, own) {
      engines = observed;
      for (const kind of own) kinds.ofRun(kind);
      observeEngine(metrics.meter, kinds, () => observed.gauges());
      observeUnserved(metrics.meter, () => observed.unserved);
      observeStandbys(metrics.meter, () =>
        observed.shards.all.flatMap(({ name, parts: { shared } }) => {
          const stats = shared.standby.stats();
          const labels: Record<string, string> = name === HOME_SHARD ? {} : { shard: name };
          return stats === null ? [] : [{ labels, stats }];
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      await metrics[Symbol.asyncDispose]();
      await backlog[Symbol.asyncDispose]();
    },
  };
}

/** Counts the waiting tasks of all shards that answer. @throws what the count of the first shard throws */
async function countBacklog(
  engines: ObservedEngines,
  query: { kinds: readonly string[]; kindsMax: number },
): Promise<KindBacklog[]> {
  const counts = await Promise.allSettled(
    engines.shards.all.map((shard) =>
      readBacklog(shard.parts.store.db, { namespaces: engines.namespacesOn(shard), ...query }),
    ),
  );
  const [home] = counts;
  if (home!.status === "rejected") throw home!.reason;
  return counts.flatMap((counted) => (counted.status === "fulfilled" ? counted.value : []));
}
