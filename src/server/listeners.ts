import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import type { TaskEngine } from "../engine/api/task-engine.ts";
import { CallerLimits } from "../rpc/call/caller-limits.ts";
import type { RunChecks } from "../rpc/services/admin-service.ts";
import { callTracker } from "./telemetry/call-tracker.ts";
import { readCertificate } from "./config/certificate.ts";
import type { Configuration } from "./config/configuration.ts";
import { consoleFiles } from "./http/console-files.ts";
import { openGrpcListener } from "./grpc/grpc-listener.ts";
import { openHttpListener } from "./http/http-listener.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { Readiness } from "./readiness.ts";

/** The open doors of a server. */
export interface Listeners {
  /** Of the gRPC door: host and port, with `https://` before them where it speaks TLS. */
  readonly address: string;
  /** What to tell people: one line a door. */
  readonly lines: readonly string[];
  /** What the gRPC door's health says. NOT_SERVING until this is called. */
  setServing(isServing: boolean): void;
  /** Closes them all, as each door says. */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Opens the doors that the configuration names, one after the other.
 *
 * @param readiness what those who ask are told
 * @throws ConfigurationError, and where one of them cannot listen; those before it are closed again
 */
export async function openListeners(
  engine: TaskEngine,
  configuration: Configuration,
  {
    readiness,
    metrics,
    runChecks,
    isTraced,
    log,
  }: { readiness: Readiness; metrics: Metrics; runChecks: RunChecks; isTraced: boolean; log: Logger },
): Promise<Listeners> {
  const { host, port, httpPort, httpOrigins, writeAheadKib } = configuration;
  const { streamsPerConnection, streamResetBurst, requestTimeoutMs } = configuration;
  const limits = new CallerLimits(configuration);
  const certificate = await readCertificate(configuration);
  await using opened = new AsyncDisposableStack();
  const common = {
    engine,
    host,
    token: configuration.token ?? undefined,
    certificate,
    streamsPerConnection,
    streamResetBurst,
    limits,
    runChecks,
    log,
  };
  const track = callTracker("grpc", { metrics, isTraced });
  const grpc = await openGrpcListener({ ...common, track, port, writeAheadKib }).catch((error: Error) =>
    tellOfTaken(error, `${authority(host, port)} (the gRPC door: SPOOL_PORT names another port)`),
  );
  opened.defer(() => grpc.close({ graceMs: 0 }));
  const forHttp = { ...common, requestTimeoutMs, metrics, isTraced, origins: httpOrigins, readiness };
  const http =
    httpPort === null
      ? null
      : await openHttpListener({ ...forHttp, port: httpPort, fallback: consoleFiles() }).catch((error: Error) =>
          // Who has never asked for this door is to know how to be rid of it.
          tellOfTaken(
            error,
            `${authority(host, httpPort)} (the HTTP door: SPOOL_HTTP_PORT names another port, or off)`,
          ),
        );
  const open = opened.move();
  const address = `${certificate ? "https://" : ""}${authority(host, grpc.port)}`;
  const lines = [`gRPC  ${address}`];
  if (http !== null) lines.push(`HTTP  ${certificate ? "https" : "http"}://${authority(host, http.port)}`);
  return {
    address,
    lines,
    setServing: (isServing) => grpc.setServing(isServing),
    async close(options) {
      await Promise.all([grpc.close(options), http?.close(options)]);
      await open.disposeAsync();
    },
  };
}

/** grpc-js gives a text alone, in which the code of the system stands. */
function tellOfTaken(error: Error, where: string): never {
  if (!error.message.includes("EADDRINUSE")) throw error;
  throw new Error(`EADDRINUSE: another process, perhaps another server, listens at ${where}`, { cause: error });
}

function authority(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
