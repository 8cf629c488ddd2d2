import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { emptyResource } from "@opentelemetry/resources";
import { openMetrics } from "../../../src/server/telemetry/metrics.ts";
import { openOtlpReader } from "../../../src/server/telemetry/otlp-metrics.ts";

const NAME = "spool_of_a_test_total";
const EXPORT_PATH = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

const NOTHING = { resource: emptyResource(), scopeMetrics: [] };

describe("metrics by OTLP", () => {
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("OTEL_")));
  const clear = () => {
    for (const name of Object.keys(process.env)) if (name.startsWith("OTEL_")) delete process.env[name];
  };
  beforeEach(clear);
  after(() => {
    clear();
    Object.assign(process.env, environment);
  });

  const isSent = async (variables: Record<string, string>) => {
    Object.assign(process.env, variables);
    const reader = await openOtlpReader([]);
    await reader?.shutdown();
    for (const name of Object.keys(variables)) delete process.env[name];
    return reader !== null;
  };
  const endpoint = "http://127.0.0.1:1";

  for (const variables of [
    { OTEL_METRICS_EXPORTER: "otlp" },
    { OTEL_METRICS_EXPORTER: "prometheus,otlp" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
    { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "false" },
  ]) {
    it(`are sent with ${JSON.stringify(variables)}`, async () => assert.equal(await isSent(variables), true));
  }

  for (const variables of [
    {},
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_METRICS_EXPORTER: "none" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_METRICS_EXPORTER: "prometheus" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "true" },
    { OTEL_METRICS_EXPORTER: "otlp", OTEL_SDK_DISABLED: "true" },
  ]) {
    it(`are not sent with ${JSON.stringify(variables)}`, async () => assert.equal(await isSent(variables), false));
  }

  /** Counts one thing, and has it sent. */
  async function sendOne(): Promise<void> {
    const reader = await openOtlpReader([]);
    assert.ok(reader !== null);
    await using metrics = openMetrics({ readers: [reader] });
    metrics.meter.createCounter(NAME).add(1);
  }

  for (const [protocol, type] of [
    [undefined, "application/x-protobuf"],
    ["http/protobuf", "application/x-protobuf"],
    ["http/json", "application/json"],
    ["nonsense", "application/x-protobuf"],
    ["constructor", "application/x-protobuf"],
  ] as const) {
    it(`are sent as ${type} if the protocol is ${protocol}`, async () => {
      const received = Promise.withResolvers<{ type: string | undefined; body: Buffer }>();
      const receiver = createServer((request, response) => {
        void buffer(request).then((body) => {
          received.resolve({ type: request.headers["content-type"], body });
          response.end();
        });
      }).listen(0, "127.0.0.1");
      await once(receiver, "listening");
      const { port } = receiver.address() as AddressInfo;
      process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${port}`;
      if (protocol !== undefined) process.env["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"] = protocol;
      await sendOne();
      const sent = await received.promise;
      assert.equal(sent.type, type);
      assert.ok(sent.body.includes(NAME));
      receiver.closeAllConnections();
      receiver.close();
      await once(receiver, "close");
    });
  }

  it("are not sent early if the interval exceeds the limit of timers", async () => {
    for (const interval of ["3000000000", "Infinity"]) {
      const overflows: Error[] = [];
      const onWarning = (warning: Error) => overflows.push(warning);
      process.on("warning", onWarning);
      Object.assign(process.env, { OTEL_METRICS_EXPORTER: "otlp", OTEL_METRIC_EXPORT_INTERVAL: interval });
      const reader = await openOtlpReader([]);
      assert.ok(reader !== null);
      reader.setMetricProducer({ collect: async () => ({ resourceMetrics: NOTHING, errors: [] }) }); // It begins.
      await new Promise(setImmediate); // Warnings are emitted a tick later.
      process.off("warning", onWarning);
      await reader.shutdown();
      assert.deepEqual(overflows, []);
    }
  });

  it("name the variables of an endpoint that is invalid for gRPC", async () => {
    const variables = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: ":::nonsense", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    await assert.rejects(isSent(variables), {
      name: "ConfigurationError",
      message: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL",
    });
  });

  it("are sent by gRPC", async () => {
    const received = Promise.withResolvers<Buffer>();
    const asItIs = (bytes: Buffer) => bytes;
    const raw = { requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs };
    const unary = {
      path: EXPORT_PATH,
      requestStream: false,
      responseStream: false,
      responseDeserialize: asItIs,
    } as const;
    const receiver = new Server();
    receiver.addService(
      { export: { ...unary, ...raw } },
      {
        export: (call: { request: Buffer }, answer: (error: null, value: Buffer) => void) => {
          received.resolve(call.request);
          answer(null, Buffer.alloc(0));
        },
      },
    );
    const listening = Promise.withResolvers<number>();
    receiver.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? listening.resolve(port) : listening.reject(error),
    );
    process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${await listening.promise}`;
    process.env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc";
    await sendOne();
    assert.ok((await received.promise).includes(NAME));
    receiver.forceShutdown();
  });
});
