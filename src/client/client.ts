import { createCaller } from "./caller.ts";
import type { CallerOptions, SpoolClient } from "./spool-client.ts";
import { openConnection } from "./transport/connection.ts";
import type { ConnectionOptions } from "./transport/connection-options.ts";
import { callsOverGrpc } from "./transport/grpc-calls.ts";

export * from "./caller-exports.ts";
export type { ConnectionOptions, TlsOptions } from "./transport/connection-options.ts";
export { worker } from "./worker/worker.ts";
export type { SpoolWorker, WorkerOptions } from "./worker/worker.ts";
export type { WorkerNotice } from "./worker/worker-notice.ts";

export interface ConnectOptions extends ConnectionOptions, CallerOptions {}

/** Creates a client. It connects with the first call. Share one client per process, and close it when done. */
export function connect(options: ConnectOptions = {}): SpoolClient {
  return createCaller(callsOverGrpc(openConnection(options)), options);
}
