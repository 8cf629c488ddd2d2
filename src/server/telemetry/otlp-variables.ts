import { getBooleanFromEnv, getStringFromEnv, getStringListFromEnv } from "@opentelemetry/core";
import { ConfigurationError } from "../config/configuration.ts";

type Signal = "TRACES" | "METRICS";

/**
 * Whether a signal is exported by OTLP: its OTEL_…_EXPORTER says so or, if that is unset, an endpoint is set. With
 * neither set nothing is exported, which differs from the specification's default.
 */
export function isSentByOtlp(signal: Signal): boolean {
  if (getBooleanFromEnv("OTEL_SDK_DISABLED")) return false;
  const exporters = getStringListFromEnv(`OTEL_${signal}_EXPORTER`) ?? [];
  if (exporters.length > 0) return exporters.includes("otlp") && !exporters.includes("none");
  return endpointsOf(signal).some((name) => getStringFromEnv(name) !== undefined);
}

/**
 * Creates an exporter. For gRPC, an invalid endpoint is thrown as a URL error that does not name its variable.
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
