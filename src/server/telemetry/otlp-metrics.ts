import { diag } from "@opentelemetry/api";
import { getNumberFromEnv, getStringFromEnv } from "@opentelemetry/core";
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { MetricProducer, PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { TIMER_MS_MAX } from "../../async/time-limit.ts";
import { isSentByOtlp, requireEndpoint } from "./otlp-variables.ts";

// What OpenTelemetry specifies for its variables, and its SDK for Node does not let anybody call alone. Where to send
// (endpoint, headers, timeout, compression, certificates) and the temporality, the exporters read by themselves.

const INTERVAL_MS_DEFAULT = 60_000;
const TIMEOUT_MS_DEFAULT = 30_000;

/** Each is loaded only where it is asked for. */
const EXPORTERS: Readonly<Record<string, () => Promise<{ OTLPMetricExporter: new () => PushMetricExporter }>>> = {
  "http/protobuf": () => import("@opentelemetry/exporter-metrics-otlp-proto"),
  "http/json": () => import("@opentelemetry/exporter-metrics-otlp-http"),
  grpc: () => import("@opentelemetry/exporter-metrics-otlp-grpc"),
};
const PROTOCOL_DEFAULT = "http/protobuf";

/**
 * What sends the metrics by OTLP, where OpenTelemetry's variables ask for that; else null.
 *
 * @param metricProducers what is sent besides what the instruments tell
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
  diag.warn(`${names.join(", ")}: must be one of ${Object.keys(EXPORTERS).join(", ")}; ${PROTOCOL_DEFAULT} is taken`);
  return EXPORTERS[PROTOCOL_DEFAULT]!();
}

/** As specified, one that is no positive number counts as unset; one that is more than a timer takes, as the most. */
function positive(name: string): number | undefined {
  const value = getNumberFromEnv(name);
  // A timer with a longer delay would fire at once, again and again.
  return value !== undefined && value > 0 ? Math.min(value, TIMER_MS_MAX) : undefined;
}
