import { getStringFromEnv } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import type { Sampler } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { within } from "../../async/time-limit.ts";
import { ConfigurationError } from "../config/configuration.ts";
import { isSentByOtlp, requireEndpoint } from "./otlp-variables.ts";
import { logOtelDiagnostics } from "./otel-diagnostics.ts";

/** Exports traces until it is disposed. Disposing sends the remaining spans. */
export type Tracing = AsyncDisposable;

/** How long the shutdown waits for the last spans to be sent. The collector may be down. */
const LAST_EXPORT_MS = 2_000;

/**
 * Starts tracing by OTLP if the standard variables of OpenTelemetry configure it, such as OTEL_EXPORTER_OTLP_ENDPOINT.
 * Otherwise nothing is traced or loaded, at no cost.
 *
 * @returns null if tracing is not configured
 * @throws ConfigurationError for an unknown sampler
 */
export async function startTracing({ resource, log }: { resource: Resource; log: Logger }): Promise<Tracing | null> {
  if (!isSentByOtlp("TRACES")) return null;
  const sampler = await samplerByVariables();
  logOtelDiagnostics(log);
  // Loading the library takes some tenths of a second, so it is loaded only if needed.
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  // With this variable, the SDK would print diagnostics to standard output instead of the log.
  delete process.env["OTEL_LOG_LEVEL"];
  const sdk = requireEndpoint("TRACES", () => {
    const made = new NodeSDK({
      resource,
      sampler,
      autoDetectResources: false,
      metricReaders: [], // They are created with the server's other metrics.
      logRecordProcessors: [],
    });
    made.start();
    return made;
  });
  return {
    async [Symbol.asyncDispose]() {
      const sent = sdk.shutdown().catch((error: unknown) => log.warn({ err: error }, "telemetry: last spans not sent"));
      await within(sent, LAST_EXPORT_MS);
    },
  };
}

/** Creates the sampler of OTEL_TRACES_SAMPLER. Parent-based samplers also follow the link of a span without parent. */
async function samplerByVariables(): Promise<Sampler> {
  const sdk = await import("@opentelemetry/sdk-trace");
  const { linkedSampler } = await import("./linked-sampler.ts");
  const roots: Record<string, () => Sampler> = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratioByVariable()),
  };
  const name = getStringFromEnv("OTEL_TRACES_SAMPLER") ?? "parentbased_always_on";
  const isByParent = name.startsWith("parentbased_");
  const rootName = isByParent ? name.slice("parentbased_".length) : name;
  const root = Object.hasOwn(roots, rootName) ? roots[rootName] : undefined;
  if (root === undefined) {
    const names = Object.keys(roots).flatMap((known) => [known, `parentbased_${known}`]);
    throw new ConfigurationError([`OTEL_TRACES_SAMPLER: must be one of ${names.join(", ")}`]);
  }
  return isByParent ? linkedSampler(new sdk.ParentBasedSampler({ root: root() })) : root();
}

function ratioByVariable(): number {
  const text = getStringFromEnv("OTEL_TRACES_SAMPLER_ARG") ?? "1";
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw new ConfigurationError(["OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1"]);
}
