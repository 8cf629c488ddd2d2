import { credentials } from "@grpc/grpc-js";
import { createCaller } from "../client/caller.ts";
import type { SpoolClient } from "../client/spool-client.ts";
import { callsOverGrpc } from "../client/transport/grpc-calls.ts";
import { openGrpcTransport } from "../client/transport/grpc-transport.ts";
import type { Kind } from "../domain/kind.ts";
import type { KindPackage } from "../kinds/define-kinds.ts";

export interface TestServerOptions {
  /** Kinds that the server runs besides `echo`, made by defineKind or defineKinds. */
  kinds?: readonly (Kind | KindPackage)[] | undefined;
  /** How long a cancelled task may continue, in ms. Default 5,000. */
  cancelGraceMs?: number | undefined;
  /** Least level of log lines, which go to standard error. Default `silent`. */
  logLevel?: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent" | undefined;
}

/** A running server of a test. Disposing stops it. */
export interface TestServer extends AsyncDisposable {
  /** Host and port of the gRPC endpoint. */
  readonly address: string;
  /** URL of the HTTP endpoint. */
  readonly url: string;
  /** A client of the server. It is closed when the server stops. */
  readonly client: SpoolClient;
  /** Stops the server and ends its tasks. */
  stop(): Promise<void>;
}

/**
 * Starts a real server in this process, on free ports of 127.0.0.1, with a database in memory that nothing else uses.
 * Settings of the environment do not apply.
 *
 * @throws Error if the package `spooltape` is not installed
 */
export async function startTestServer({ kinds = [], ...settings }: TestServerOptions = {}): Promise<TestServer> {
  const { openTestServer } = await import("spooltape/test-server").catch((error: NodeJS.ErrnoException) => {
    // The same code stands for a module that is missing in the installed package.
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !/'spooltape['/]/.test(error.message)) throw error;
    throw new Error("startTestServer needs the server: npm install --save-dev spooltape", { cause: error });
  });
  const { address, url, stop } = await openTestServer(kinds, settings);
  // Not `connect`, which would send the SPOOL_TOKEN of the environment.
  const transport = openGrpcTransport(address, credentials.createInsecure());
  const client = createCaller(callsOverGrpc(transport), {});
  const close = async () => {
    client.close();
    await stop();
  };
  return { address, url, client, stop: close, [Symbol.asyncDispose]: close };
}
