import { diag } from "@opentelemetry/api";
import { getNumberFromEnv, getStringFromEnv } from "@opentelemetry/core";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricProducer, PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { TIMER_MS_MAX } from "../../async/time-limit.ts";
import { isSentByOtlp, requireEndpoint } from "./otlp-variables.ts";

// Implements OpenTelemetry's variables for metrics, which the SDK for Node does not offer as a function. The exporters
// read endpoint, headers, timeout, compression, certificates and temporality themselves.

const INTERVAL_MS_DEFAULT = 60_000;
const TIMEOUT_MS_DEFAULT = 30_000;

/** The exporters by protocol. Only the configured one is loaded. */
const EXPORTERS: Readonly<Record<string, () => Promise<{ OTLPMetricExporter: new () => PushMetricExporter }>>> = {
  "http/protobuf": () => import("@opentelemetry/exporter-metrics-otlp-proto"),
  "http/json": () => import("@opentelemetry/exporter-metrics-otlp-http"),
  grpc: () => import("@opentelemetry/exporter-metrics-otlp-grpc"),
};
const PROTOCOL_DEFAULT = "http/protobuf";

/**
 * Creates the reader that exports metrics by OTLP, if OpenTelemetry's variables request it; otherwise returns null.
 *
 * @param metricProducers additional sources of metrics
 */
export async function openOtlpReader(metricProducers: MetricProducer[]): Promise<PeriodicExportingMetricReader | null> {
  if (!isSentByOtlp("METRICS")) return null;
  const exportIntervalMillis = positive("OTEL_METRIC_EXPORT_INTERVAL") ?? INTERVAL_MS_DEFAULT;
  const timeoutMs = positive("OTEL_METRIC_EXPORT_TIMEOUT") ?? TIMEOUT_MS_DEFAULT;
  const { OTLPMetricExporter } = await loadExporter();
  return new PeriodicExportingMetricReader({
    exporter: requireEndpoint("METRICS", () => new OTLPMetricExporter()),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    metricProducers,
  });
}

function loadExporter(): Promise<{ OTLPMetricExporter: new () => PushMetricExporter }> {
  const names = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
  const protocol = names.map(getStringFromEnv).find((value) => value !== undefined) ?? PROTOCOL_DEFAULT;
  if (Object.hasOwn(EXPORTERS, protocol)) return EXPORTERS[protocol]!();
  diag.warn(`${names.join(", ")}: must be one of ${Object.keys(EXPORTERS).join(", ")}; using ${PROTOCOL_DEFAULT}`);
  return EXPORTERS[PROTOCOL_DEFAULT]!();
}

/** Reads a positive number. As specified, other values count as unset. Values past the limit of timers are clamped. */
function positive(name: string): number | undefined {
  const value = getNumberFromEnv(name);
  // A timer with a longer delay would fire at once, again and again.
  return value !== undefined && value > 0 ? Math.min(value, TIMER_MS_MAX) : undefined;
}
