import { getBooleanFromEnv, getStringFromEnv, getStringListFromEnv } from "@opentelemetry/core";
import { ConfigurationError } from "../config/configuration.ts";

type Signal = "TRACES" | "METRICS";

/**
 * Whether a signal is to leave by OTLP, as OpenTelemetry's variables have it: its OTEL_…_EXPORTER says so or, where that
 * is not set, an endpoint for it is. Without either nothing leaves, other than the specification's default has it.
 */
export function isSentByOtlp(signal: Signal): boolean {
  if (getBooleanFromEnv("OTEL_SDK_DISABLED")) return false;
  const exporters = getStringListFromEnv(`OTEL_${signal}_EXPORTER`) ?? [];
  if (exporters.length > 0) return exporters.includes("otlp") && !exporters.includes("none");
  return endpointsOf(signal).some((name) => getStringFromEnv(name) !== undefined);
}

/**
 * Makes what sends a signal. By gRPC an endpoint that is no URL is thrown as such, which tells nobody where it is from.
 *
 * @throws ConfigurationError
 */
export function requireEndpoint<Made>(signal: Signal, make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TypeError) || !("code" in error) || error.code !== "ERR_INVALID_URL") throw error;
    throw new ConfigurationError([`${endpointsOf(signal).join(", ")}: must be a URL`]);
  }
}

function endpointsOf(signal: Signal): string[] {
  return [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, "OTEL_EXPORTER_OTLP_ENDPOINT"];
}
