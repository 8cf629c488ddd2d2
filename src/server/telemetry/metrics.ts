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

/** What a server counts and measures, for Prometheus. docs/operating.md lists it. */
export interface Metrics extends AsyncDisposable {
  /** Where whatever has something to tell makes its instruments. */
  readonly meter: Meter;
  /** Counts the calls at a door; undefined: they are not counted. */
  callsAt(door: string): CountCall | undefined;
  /** Answers with everything, in Prometheus's text; null: nobody is answered. */
  readonly answer: HttpHandler | null;
}

/** Nothing is counted. */
export const NO_METRICS: Metrics = {
  meter: createNoopMeter(),
  callsAt: () => undefined,
  answer: null,
  async [Symbol.asyncDispose]() {},
};

/** How often the event loop is looked at. What it measures is when it looked again: this and the delay. */
const EVENT_LOOP_LOOK_MS = 20;
const NANOS_IN_MS = 1e6;
const MICROS_IN_SECOND = 1e6;
/** How long the end waits until what was counted last is sent. Who is to get it may not be there. */
const LAST_EXPORT_MS = 2_000;

type EventLoopDelay = ReturnType<typeof monitorEventLoopDelay>;

/**
 * @param producers of what Prometheus is told besides what the instruments tell
 * @param readers who else is told
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
  const eventLoop = monitorEventLoopDelay({ resolution: EVENT_LOOP_LOOK_MS });
  eventLoop.enable();
  observeProcess(meter, eventLoop);
  const calls = new CallCounts(meter);
  return {
    meter,
    callsAt: (door) => calls.at(door),
    answer: exporter.getMetricsRequestHandler.bind(exporter) as unknown as HttpHandler,
    async [Symbol.asyncDispose]() {
      eventLoop.disable();
      await provider.shutdown({ timeoutMillis: LAST_EXPORT_MS }).catch((error: unknown) => {
        diag.warn(`what was counted last was not sent: ${String(error)}`);
      });
    },
  };
}

function observeProcess(meter: Meter, eventLoop: EventLoopDelay): void {
  const gauge = (name: string, description: string, read: () => number) =>
    meter.createObservableGauge(name, { description }).addCallback((result) => result.observe(read()));
  meter
    .createObservableGauge("spool_build_info", { description: "1, with what runs" })
    .addCallback((result) => result.observe(1, { version: packageJson.version, node: process.versions.node }));
  gauge("process_uptime_seconds", "Since the process began", () => process.uptime());
  gauge("process_resident_memory_bytes", "Of the whole process", () => process.memoryUsage.rss());
  gauge("nodejs_heap_used_bytes", "Of JavaScript", () => process.memoryUsage().heapUsed);
  meter
    .createObservableCounter("process_cpu_seconds_total", { description: "Of user and system together" })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / MICROS_IN_SECOND);
    });
  const delays = (["p50", "p99", "max"] as const).map((of) => {
    const description = `By how much timers were late since the last look: ${of}`;
    return [of, meter.createObservableGauge(`nodejs_eventloop_delay_${of}_seconds`, { description })] as const;
  });
  meter.addBatchObservableCallback(
    (result) => {
      const nanos = { p50: eventLoop.percentile(50), p99: eventLoop.percentile(99), max: eventLoop.max };
      for (const [of, delay] of delays)
        result.observe(delay, Math.max(0, nanos[of] / NANOS_IN_MS - EVENT_LOOP_LOOK_MS) / 1_000);
      eventLoop.reset();
    },
    delays.map(([, delay]) => delay),
  );
}
