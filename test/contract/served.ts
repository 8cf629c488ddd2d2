import { pino } from "pino";
import { worker } from "../../src/client/client.ts";
import type { SpoolWorker, WorkerNotice } from "../../src/client/client.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { openHttpListener } from "../../src/server/http/http-listener.ts";
import type { HttpHandler } from "../../src/server/http/http-server.ts";
import { openMetrics } from "../../src/server/telemetry/metrics.ts";
import { Readiness } from "../../src/server/readiness.ts";
import { Stage } from "../support/stage.ts";
import { openServedEngine } from "./served-engines.ts";

/** A server on free ports of 127.0.0.1, in this process so that the test plays the code of its tasks. */
export interface Served extends AsyncDisposable {
  /** Of the gRPC endpoint. */
  readonly address: string;
  /** Of the HTTP endpoint: where URLs begin. */
  readonly url: string;
  readonly stage: Stage;
}

/**
 * @param byWorker whether the code runs at a worker that is connected, and not in the server
 * @param workerAt where that worker connects to; by default to the gRPC endpoint itself
 * @param fallback what the HTTP endpoint serves besides calls
 */
export async function openServed({
  byWorker = false,
  workerAt = (served) => Promise.resolve(served.address),
  fallback,
}: {
  byWorker?: boolean;
  workerAt?: (served: Pick<Served, "address" | "url">) => Promise<string>;
  fallback?: HttpHandler;
} = {}): Promise<Served> {
  const stage = new Stage();
  const served = await openServedEngine(byWorker ? [] : [stage.kind]);
  const log = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });
  const common = { engines: served.engines, host: "127.0.0.1", port: 0, log };
  const endpoint = await openGrpcListener(common);
  const metrics = openMetrics();
  const readiness = new Readiness(async () => {});
  readiness.schema = true;
  readiness.engine = true;
  const httpEndpoint = await openHttpListener({ ...common, readiness, metrics, ...(fallback && { fallback }) });
  const endpoints = { address: `127.0.0.1:${endpoint.port}`, url: `http://127.0.0.1:${httpEndpoint.port}` };
  const connected = byWorker ? await connectWorker(await workerAt(endpoints), stage) : null;
  return {
    ...endpoints,
    stage,
    async [Symbol.asyncDispose]() {
      await connected?.[Symbol.asyncDispose]();
      await Promise.all([endpoint.close({ graceMs: 1_000 }), httpEndpoint.close({ graceMs: 1_000 })]);
      await metrics[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

async function connectWorker(address: string, { kind }: Stage): Promise<SpoolWorker> {
  const { promise: isConnected, resolve } = Promise.withResolvers<void>();
  const onNotice = ({ type }: WorkerNotice) => type === "connected" && resolve();
  const settings = { concurrency: 64, drainMs: 0, graceMs: 0, signals: false };
  const connected = worker({ kinds: [kind], address, onNotice, ...settings });
  await Promise.race([isConnected, connected.stopped]);
  return connected;
}
