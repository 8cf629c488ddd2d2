import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ServerOptions } from "@grpc/grpc-js";
import { pino } from "pino";
import { StreamEventsResponseSchema, TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import type { StreamEventsResponse } from "../../src/gen/spool/v1/task_service_pb.ts";
import { Drain } from "../../src/rpc/call/drain.ts";
import { addService } from "../../src/rpc/grpc/grpc-binding.ts";
import { drainOthers } from "../../src/rpc/grpc/interceptors.ts";
import type { ServiceHandlers } from "../../src/rpc/call/service.ts";
import { RawClient } from "./raw-client.ts";

/** What its streams put ahead of their readers, in bytes. */
export const WRITE_AHEAD_MAX = 64 * 1024;

export type Handlers = Partial<ServiceHandlers<typeof TaskService>>;

/** A server on grpc-js with handlers made for one test, a client of it, and what it logged. */
export class TestServer implements AsyncDisposable {
  readonly port: number;
  readonly client: RawClient;
  readonly drain: Drain;
  readonly log: Record<string, unknown>[];
  readonly #server: Server;

  private constructor(port: number, server: Server, drain: Drain, log: Record<string, unknown>[]) {
    this.port = port;
    this.client = new RawClient(port);
    this.drain = drain;
    this.log = log;
    this.#server = server;
  }

  static async open(handlers: Handlers, options: ServerOptions = {}): Promise<TestServer> {
    const lines: Record<string, unknown>[] = [];
    const log = pino({}, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
    const drain = new Drain();
    const server = new Server({ interceptors: [drainOthers(drain, () => true, log)], ...options });
    addService(server, TaskService, handlers as ServiceHandlers<typeof TaskService>, {
      drain,
      writeAheadMax: WRITE_AHEAD_MAX,
      log,
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return new TestServer(port, server, drain, lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    this.#server.forceShutdown();
  }
}

/** A frame of so many bytes, with a number in it. */
export function frame(number: number, bytes = 0): StreamEventsResponse {
  const event = { seq: BigInt(number), body: { case: "log", value: { message: "x".repeat(bytes) } } } as const;
  return create(StreamEventsResponseSchema, { events: [event], nextFromSeq: BigInt(number + 1) });
}

/** Resolves with the signal's reason once it fires. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}
