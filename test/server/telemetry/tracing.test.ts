import assert from "node:assert/strict";
import { ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import type { SpanContext } from "@opentelemetry/api";
import { AlwaysOffSampler, AlwaysOnSampler, SamplingDecision } from "@opentelemetry/sdk-trace";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { pino } from "pino";
import { linkedSampler } from "../../../src/server/telemetry/linked-sampler.ts";
import { isSentByOtlp } from "../../../src/server/telemetry/otlp-variables.ts";
import { startTracing } from "../../../src/server/telemetry/tracing.ts";

const parts = { resource: resourceFromAttributes({}), log: pino({ level: "silent" }) };

/** Does it while OpenTelemetry's variables are these and no others. */
async function within<Outcome>(variables: Record<string, string>, work: () => Outcome): Promise<Awaited<Outcome>> {
  const before = Object.entries(process.env).filter(([name]) => name.startsWith("OTEL_"));
  const clear = () => {
    for (const name of Object.keys(process.env)) if (name.startsWith("OTEL_")) delete process.env[name];
  };
  clear();
  Object.assign(process.env, variables);
  try {
    return await work();
  } finally {
    clear();
    Object.assign(process.env, Object.fromEntries(before));
  }
}

describe("tracing", () => {
  it("is off unless a standard variable asks for it", async () => {
    assert.equal(await within({}, () => startTracing(parts)), null);
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" };
    const asked: [Record<string, string>, boolean][] = [
      [{}, false],
      [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
      [{ OTEL_SERVICE_NAME: "spool", OTEL_TRACES_SAMPLER: "always_on" }, false],
      [endpoint, true],
      [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }, true],
      [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:4318/v1/metrics" }, false],
      [{ OTEL_TRACES_EXPORTER: "otlp" }, true],
      [{ ...endpoint, OTEL_TRACES_EXPORTER: "none" }, false],
      [{ ...endpoint, OTEL_SDK_DISABLED: "true" }, false],
    ];
    for (const [variables, isAsked] of asked) {
      const isSent = await within(variables, () => isSentByOtlp("TRACES"));
      assert.equal(isSent, isAsked, JSON.stringify(variables));
    }
  });

  it("refuses an unknown sampler and names the variable", async () => {
    const wrong: [Record<string, string>, RegExp][] = [
      [{ OTEL_TRACES_SAMPLER: "sometimes" }, /^OTEL_TRACES_SAMPLER: must be one of always_on, parentbased_always_on/],
      [{ OTEL_TRACES_SAMPLER: "constructor" }, /^OTEL_TRACES_SAMPLER: must be one of/],
      [{ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "1.5" }, /^OTEL_TRACES_SAMPLER_ARG: .*0 to 1/],
      [{ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "x" }, /^OTEL_TRACES_SAMPLER_ARG: /],
    ];
    for (const [variables, message] of wrong) {
      const starting = within({ OTEL_TRACES_EXPORTER: "otlp", ...variables }, () => startTracing(parts));
      await assert.rejects(starting, { name: "ConfigurationError", message });
    }
  });

  it("names the variables of an endpoint that is invalid for gRPC", async () => {
    const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: ":::nonsense", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    await assert.rejects(
      within(variables, () => startTracing(parts)),
      {
        name: "ConfigurationError",
        message: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL",
      },
    );
  });

  describe("for a span", () => {
    const [none, all] = [new AlwaysOffSampler(), new AlwaysOnSampler()];
    const place = (traceFlags: number): SpanContext => ({
      traceId: "1".repeat(32),
      spanId: "2".repeat(16),
      traceFlags,
    });

    /** Whether a span would be sampled. @param flags of its parent and of what it is linked to; undefined: there is none */
    function isSampled(others: AlwaysOnSampler, { parent, link }: { parent?: number; link?: number }): boolean {
      const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, place(parent));
      const links = link === undefined ? [] : [{ context: place(link) }];
      const sampler = linkedSampler(others);
      const { decision } = sampler.shouldSample(context, "3".repeat(32), "run echo", SpanKind.CONSUMER, {}, links);
      return decision === SamplingDecision.RECORD_AND_SAMPLED;
    }

    it("without a parent uses the sampling decision of its link", () => {
      assert.deepEqual([isSampled(none, { link: 1 }), isSampled(all, { link: 0 })], [true, false]);
    });

    it("with a parent or without a link uses the decision of the configured sampler", () => {
      assert.deepEqual(
        [isSampled(none, { parent: 1, link: 1 }), isSampled(all, { parent: 0, link: 0 })],
        [false, true],
      );
      assert.deepEqual([isSampled(none, {}), isSampled(all, {})], [false, true]);
    });
  });
});
