import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import { CallerLimits } from "../rpc/call/caller-limits.ts";
import { TenantLimits } from "../rpc/call/tenant-limits.ts";
import type { Act } from "../domain/audit-event.ts";
import type { ServiceAdmin } from "../engine/api/service-admin.ts";
import type { Engines } from "../rpc/call/guard.ts";
import type { Authenticator } from "../rpc/call/identity.ts";
import type { AdminCalls, RunChecks } from "../rpc/services/admin-service.ts";
import { callTracker } from "./telemetry/call-tracker.ts";
import { certificateFiles, certificateOf, readCertificate } from "./config/certificate.ts";
import type { Configuration } from "./config/configuration.ts";
import { consoleSecretOf, providerOf } from "./config/console-settings.ts";
import { consoleFiles } from "./http/console-files.ts";
import { openGrpcListener } from "./grpc/grpc-listener.ts";
import { openHttpListener } from "./http/http-listener.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import type { Readiness } from "./readiness.ts";
import { WatchedFiles } from "./watched-files.ts";

/** The open listeners of a server. */
export interface Listeners {
  /** Host and port of the gRPC endpoint, with `https://` before them if it uses TLS. */
  readonly address: string;
  /** URL of the HTTP endpoint; null: there is none. */
  readonly url: string | null;
  /** One line of text for each endpoint. */
  readonly lines: readonly string[];
  /** Sets the status of the gRPC health service. NOT_SERVING until this is called. */
  setServing(isServing: boolean): void;
  /** Closes all listeners. */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Opens the configured listeners, one after the other.
 *
 * @param readiness the report for readiness probes
 * @throws ConfigurationError, or an Error if an address cannot be listened on; open listeners are closed again
 */
export async function openListeners(
  engines: Engines,
  configuration: Configuration,
  {
    authenticator,
    readiness,
    metrics,
    runChecks,
    admin,
    createTaskToken,
    onAct,
    isTraced,
    log,
  }: {
    authenticator: Authenticator;
    readiness: Readiness;
    metrics: Metrics;
    runChecks: RunChecks;
    admin: AdminCalls;
    createTaskToken: ServiceAdmin["createTaskToken"] | undefined;
    onAct: (act: Act) => void;
    isTraced: boolean;
    log: Logger;
  },
): Promise<Listeners> {
  const { host, port, httpPort, httpOrigins, writeAheadKib } = configuration;
  const { streamsPerConnection, streamResetBurst, requestTimeoutMs } = configuration;
  const limits = new CallerLimits(configuration);
  const tenantLimits = new TenantLimits();
  const certificate = await readCertificate(configuration);
  await using opened = new AsyncDisposableStack();
  const common = {
    engines,
    host,
    authenticator,
    certificate,
    streamsPerConnection,
    streamResetBurst,
    limits,
    tenantLimits,
    runChecks,
    admin,
    createTaskToken,
    log,
  };
  const track = callTracker("grpc", { metrics, isTraced });
  const grpc = await openGrpcListener({ ...common, track, port, writeAheadKib }).catch((error: Error) =>
    throwIfInUse(error, `gRPC address ${authority(host, port)}`, "set SPOOL_PORT to another port"),
  );
  opened.defer(() => grpc.close({ graceMs: 0 }));
  const signIn = { consoleSecret: consoleSecretOf(configuration), provider: providerOf(configuration) };
  const origins = httpOrigins;
  const forHttp = { ...common, requestTimeoutMs, metrics, isTraced, origins, ...signIn, readiness, onAct };
  const http =
    httpPort === null
      ? null
      : await openHttpListener({ ...forHttp, port: httpPort, fallback: consoleFiles() }).catch((error: Error) =>
          // The HTTP listener is on by default: the message says how to switch it off.
          throwIfInUse(
            error,
            `HTTP address ${authority(host, httpPort)}`,
            "set SPOOL_HTTP_PORT to another port or to off",
          ),
        );
  const files = new WatchedFiles({
    name: "certificates",
    paths: certificateFiles(configuration),
    log,
    onChange(contents) {
      const changed = certificateOf(configuration, contents);
      grpc.setCertificate(changed);
      http?.setCertificate(changed);
    },
  });
  if (certificate !== null) {
    opened.use(files);
    await files.read();
    files.start();
  }
  const open = opened.move();
  const address = `${certificate ? "https://" : ""}${authority(host, grpc.port)}`;
  const url = http === null ? null : `${certificate ? "https" : "http"}://${authority(host, http.port)}`;
  const lines = [`gRPC  ${address}`, ...(url === null ? [] : [`HTTP  ${url}`])];
  return {
    address,
    url,
    lines,
    setServing: (isServing) => grpc.setServing(isServing),
    async close(options) {
      await Promise.all([grpc.close(options), http?.close(options)]);
      await open.disposeAsync();
    },
  };
}

/** Throws a clearer error if the address is in use. grpc-js reports the system's error code only in the message. */
function throwIfInUse(error: Error, address: string, todo: string): never {
  if (!error.message.includes("EADDRINUSE")) throw error;
  throw new Error(`EADDRINUSE: ${address} is in use by another process; ${todo}`, { cause: error });
}

function authority(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
