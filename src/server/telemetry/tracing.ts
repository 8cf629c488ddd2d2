import { getStringFromEnv } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import type { Sampler } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { within } from "../../async/time-limit.ts";
import { ConfigurationError } from "../config/configuration.ts";
import { isSentByOtlp, requireEndpoint } from "./otlp-variables.ts";
import { logTelemetryTrouble } from "./otel-diagnostics.ts";

/** Traces leave this process until it is disposed of, which sends what is left. */
export type Tracing = AsyncDisposable;

/** How long the end waits until the last spans are sent. Who is to get them may not be there. */
const LAST_EXPORT_MS = 2_000;

/**
 * Sends spans where the standard variables of OpenTelemetry say, by OTLP: OTEL_EXPORTER_OTLP_ENDPOINT and the like.
 * Without any of them nothing is traced, nothing is loaded and nothing is paid.
 *
 * @returns null where nothing is to be traced
 * @throws ConfigurationError for a sampler that there is not
 */
export async function startTracing({ resource, log }: { resource: Resource; log: Logger }): Promise<Tracing | null> {
  if (!isSentByOtlp("TRACES")) return null;
  const sampler = await samplerByVariables();
  logTelemetryTrouble(log);
  // The library takes some tenths of a second to load: a server that traces nothing does not pay them.
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  // By it the SDK would take the word to the console, over standard output and past the log.
  delete process.env["OTEL_LOG_LEVEL"];
  const sdk = requireEndpoint("TRACES", () => {
    const made = new NodeSDK({
      resource,
      sampler,
      autoDetectResources: false,
      metricReaders: [], // They are made with the server's other metrics.
      logRecordProcessors: [],
    });
    made.start();
    return made;
  });
  return {
    async [Symbol.asyncDispose]() {
      const sent = sdk.shutdown().catch((error: unknown) => log.warn({ err: error }, "the last spans were not sent"));
      await within(sent, LAST_EXPORT_MS);
    },
  };
}

/** As OTEL_TRACES_SAMPLER names it. Those that go by a span's parent go by what it is linked to as well. */
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
