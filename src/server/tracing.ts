import { diag, DiagLogLevel } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { Sampler } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { ConfigurationError } from "./configuration.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Traces leave this process until it is disposed of, which sends what is left. */
export interface Tracing extends AsyncDisposable {}

/**
 * Sends spans where the standard variables of OpenTelemetry say, by OTLP: OTEL_EXPORTER_OTLP_ENDPOINT and the like.
 * Without any of them nothing is traced, nothing is loaded and nothing is paid.
 *
 * @returns null where nothing is to be traced
 * @throws ConfigurationError for a sampler that there is not
 */
export async function startTracing(
  { resource, log }: { resource: Resource; log: Logger },
  environment: Environment = process.env,
): Promise<Tracing | null> {
  if (!isExported("TRACES", environment)) return null;
  const sampler = await samplerOf(environment);
  diag.setLogger(diagnosticsOf(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  // The library takes some tenths of a second to load: a server that traces nothing does not pay them.
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const sdk = new NodeSDK({
    resource,
    sampler,
    autoDetectResources: false,
    metricReaders: [], // They are made with the server's other metrics.
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    async [Symbol.asyncDispose]() {
      await sdk.shutdown().catch((error: unknown) => log.warn({ err: error }, "the last spans could not be sent"));
    },
  };
}

/** Whether a signal is to leave by OTLP: somebody has named an exporter for it, or an endpoint. */
export function isExported(signal: "TRACES" | "METRICS", environment: Environment = process.env): boolean {
  if (environment["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return false;
  const exporter = environment[`OTEL_${signal}_EXPORTER`];
  if (exporter) return exporter !== "none";
  return Boolean(environment["OTEL_EXPORTER_OTLP_ENDPOINT"] || environment[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]);
}

/** As OTEL_TRACES_SAMPLER names it. Those that go by a span's parent go by what it is linked to as well. */
async function samplerOf(environment: Environment): Promise<Sampler> {
  const sdk = await import("@opentelemetry/sdk-trace");
  const { linkedSampler } = await import("./linked-sampler.ts");
  const roots: Record<string, () => Sampler> = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratioOf(environment["OTEL_TRACES_SAMPLER_ARG"] || "1")),
  };
  const name = environment["OTEL_TRACES_SAMPLER"] || "parentbased_always_on";
  const isByParent = name.startsWith("parentbased_");
  const root = roots[isByParent ? name.slice("parentbased_".length) : name];
  if (root === undefined) {
    const names = Object.keys(roots).flatMap((known) => [known, `parentbased_${known}`]);
    throw new ConfigurationError([`OTEL_TRACES_SAMPLER: must be one of ${names.join(", ")}`]);
  }
  return isByParent ? linkedSampler(new sdk.ParentBasedSampler({ root: root() })) : root();
}

function ratioOf(text: string): number {
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw new ConfigurationError(["OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1"]);
}

function diagnosticsOf(log: Logger) {
  const say = (message: string, ...rest: unknown[]) => log.warn({ telemetry: rest }, message);
  return { error: say, warn: say, info() {}, debug() {}, verbose() {} };
}
