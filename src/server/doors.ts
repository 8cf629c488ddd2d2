import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import type { TaskEngine } from "../engine/task-engine.ts";
import type { Configuration } from "./configuration.ts";
import { consoleFiles } from "./console-files.ts";
import { openGrpcDoor } from "./grpc-door.ts";
import { openHttpDoor } from "./http-door.ts";

/** The open doors of a server. */
export interface Doors {
  /** Of the gRPC door: host and port. */
  readonly address: string;
  /** What to tell people: one line a door. */
  readonly lines: readonly string[];
  /** What is answered to those who ask whether the server is ready. Not, until this is called. */
  setServing(isServing: boolean): void;
  /** Closes them all, as each door says. */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Opens the doors that the configuration names, one after the other.
 *
 * @throws where one of them cannot listen; those before it are closed again
 */
export async function openDoors(engine: TaskEngine, configuration: Configuration, log: Logger): Promise<Doors> {
  const { host, port, httpPort, writeAheadKib } = configuration;
  const common = { engine, host, token: configuration.token ?? undefined, log };
  const grpc = await openGrpcDoor({ ...common, port, writeAheadKib });
  try {
    const http = httpPort === null ? null : await openHttpDoor({ ...common, port: httpPort, fallback: consoleFiles() });
    const address = authority(host, grpc.port);
    const lines = [`gRPC  ${address}`, ...(http === null ? [] : [`HTTP  http://${authority(host, http.port)}`])];
    return {
      address,
      lines,
      setServing: (isServing) => grpc.setServing(isServing),
      async close(options) {
        await Promise.all([grpc.close(options), http?.close(options)]);
      },
    };
  } catch (error) {
    await grpc.close({ graceMs: 0 });
    throw error;
  }
}

function authority(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
