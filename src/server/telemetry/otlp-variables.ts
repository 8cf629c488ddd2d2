import { getBooleanFromEnv, getStringFromEnv, getStringListFromEnv } from "@opentelemetry/core";

/**
 * Whether a signal is to leave by OTLP, as OpenTelemetry's variables have it: its OTEL_…_EXPORTER says so or, where that
 * is not set, an endpoint for it is. Without either nothing leaves, other than the specification's default has it.
 */
export function isSentByOtlp(signal: "TRACES" | "METRICS"): boolean {
  if (getBooleanFromEnv("OTEL_SDK_DISABLED")) return false;
  const exporters = getStringListFromEnv(`OTEL_${signal}_EXPORTER`) ?? [];
  if (exporters.length > 0) return exporters.includes("otlp") && !exporters.includes("none");
  const endpoints = [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, "OTEL_EXPORTER_OTLP_ENDPOINT"];
  return endpoints.some((name) => getStringFromEnv(name) !== undefined);
}
