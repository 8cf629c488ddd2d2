import { monitorEventLoopDelay } from "node:perf_hooks";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { createNoopMeter, diag } from "@opentelemetry/api";
import type { Meter } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { IMetricReader, MetricProducer } from "@opentelemetry/sdk-metrics";
import packageJson from "../../../package.json" with { type: "json" };
import { CallCounts } from "./call-counts.ts";
import type { CountCall } from "./call-counts.ts";
import type { HttpHandler } from "../http/http-server.ts";

/** The metrics of a server, for Prometheus. docs/operating.md lists them. */
export interface Metrics extends AsyncDisposable {
  /** Creates instruments. */
  readonly meter: Meter;
  /** Returns the counter of an endpoint; undefined if metrics are off. */
  callsAt(endpoint: string): CountCall | undefined;
  /** Serves all metrics in the text format of Prometheus; null if metrics are off. */
  readonly answer: HttpHandler | null;
}

/** Metrics that are switched off. */
export const NO_METRICS: Metrics = {
  meter: createNoopMeter(),
  callsAt: () => undefined,
  answer: null,
  async [Symbol.asyncDispose]() {},
};

/** The sampling interval of the event loop. Node measures the time between two samples: interval plus delay. */
const EVENT_LOOP_SAMPLE_MS = 20;
const NANOS_IN_MS = 1e6;
const MICROS_IN_SECOND = 1e6;
/** How long the shutdown waits for the last export. The collector may be down. */
const LAST_EXPORT_MS = 2_000;

type EventLoopDelay = ReturnType<typeof monitorEventLoopDelay>;

/**
 * Opens the metrics with an exporter for Prometheus.
 *
 * @param producers additional sources of metrics for Prometheus
 * @param readers additional exporters
 */
export function openMetrics({
  resource,
  producers = [],
  readers = [],
}: { resource?: Resource; producers?: MetricProducer[]; readers?: IMetricReader[] } = {}): Metrics {
  const exporter = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
    metricProducers: producers,
  });
  const provider = new MeterProvider({ ...(resource && { resource }), readers: [exporter, ...readers] });
  const meter = provider.getMeter("spool");
  const eventLoop = monitorEventLoopDelay({ resolution: EVENT_LOOP_SAMPLE_MS });
  eventLoop.enable();
  observeProcess(meter, eventLoop);
  const calls = new CallCounts(meter);
  return {
    meter,
    callsAt: (endpoint) => calls.at(endpoint),
    answer: exporter.getMetricsRequestHandler.bind(exporter) as unknown as HttpHandler,
    async [Symbol.asyncDispose]() {
      eventLoop.disable();
      await provider.shutdown({ timeoutMillis: LAST_EXPORT_MS }).catch((error: unknown) => {
        diag.warn(`last metrics not sent: ${String(error)}`);
      });
    },
  };
}

function observeProcess(meter: Meter, eventLoop: EventLoopDelay): void {
  const gauge = (name: string, description: string, read: () => number) =>
    meter.createObservableGauge(name, { description }).addCallback((result) => result.observe(read()));
  meter
    .createObservableGauge("spool_build_info", {
      description: "Always 1, labelled with the versions of Spool and Node",
    })
    .addCallback((result) => result.observe(1, { version: packageJson.version, node: process.versions.node }));
  gauge("process_uptime_seconds", "Time since the process started", () => process.uptime());
  gauge("process_resident_memory_bytes", "Resident memory of the process", () => process.memoryUsage.rss());
  gauge("nodejs_heap_used_bytes", "Used JavaScript heap", () => process.memoryUsage().heapUsed);
  meter
    .createObservableCounter("process_cpu_seconds_total", { description: "User and system CPU time" })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / MICROS_IN_SECOND);
    });
  const delays = (["p50", "p99", "max"] as const).map((of) => {
    const description = `Delay of the event loop since the last scrape: ${of}`;
    return [of, meter.createObservableGauge(`nodejs_eventloop_delay_${of}_seconds`, { description })] as const;
  });
  meter.addBatchObservableCallback(
    (result) => {
      const nanos = { p50: eventLoop.percentile(50), p99: eventLoop.percentile(99), max: eventLoop.max };
      for (const [of, delay] of delays)
        result.observe(delay, Math.max(0, nanos[of] / NANOS_IN_MS - EVENT_LOOP_SAMPLE_MS) / 1_000);
      eventLoop.reset();
    },
    delays.map(([, delay]) => delay),
  );
}
