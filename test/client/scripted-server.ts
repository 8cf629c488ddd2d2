import { once } from "node:events";
import { connect as dial, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { anyPack, durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { handleServerStreamingCall, handleUnaryCall, UntypedServiceImplementation } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import type { EventSchema } from "../../src/gen/spool/v1/event_pb.ts";
import { LogLevel } from "../../src/gen/spool/v1/event_pb.ts";
import { RetryPolicySchema, TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import type { TaskSchema } from "../../src/gen/spool/v1/task_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../src/gen/spool/v1/worker_service_pb.ts";
import type { StreamEventsResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";

// A gRPC server that answers as a test scripts it, with wrong answers and failures too.

type Method = typeof TaskService.method & typeof WorkerService.method;
type Unary<M extends keyof Method> = (
  request: MessageShape<Method[M]["input"]>,
  call: { metadata: Metadata; attempt: number; cancelled: Promise<void> },
) => MessageInitShape<Method[M]["output"]> | Promise<MessageInitShape<Method[M]["output"]>>;

type Streaming<M extends keyof Method> = (
  request: MessageShape<Method[M]["input"]>,
  call: { metadata: Metadata; attempt: number; cancelled: Promise<void> },
) => AsyncIterable<MessageInitShape<Method[M]["output"]>>;

/**
 * The answers. Each function receives the number of the call of its method, from 1. To fail, it throws `failure(…)`.
 */
export interface Script {
  startTask?: Unary<"startTask">;
  getTask?: Unary<"getTask">;
  listTasks?: Unary<"listTasks">;
  cancelTask?: Unary<"cancelTask">;
  deleteTask?: Unary<"deleteTask">;
  getEvents?: Unary<"getEvents">;
  getResult?: Unary<"getResult">;
  listSessions?: Unary<"listSessions">;
  /**
   * The stream ends without an error after the last frame, or with the error that this throws. A client drops unread
   * frames when an error comes, so a script that needs them waits until they are read.
   */
  streamEvents?: Streaming<"streamEvents">;
  /** Like streamEvents. */
  runTask?: Streaming<"runTask">;
  /** Like streamEvents. */
  followTasks?: Streaming<"followTasks">;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** How often each method was called, by name. */
  readonly calls: Readonly<Record<string, number>>;
  /** Closes every connection and stops listening. */
  stop(): Promise<void>;
}

export async function serveScript(script: Script, port = 0): Promise<ScriptedServer> {
  const server = new Server();
  const calls: Record<string, number> = {};
  const methods = [...TaskService.methods, ...WorkerService.methods];
  const definition = Object.fromEntries(methods.map((method) => [method.localName, define(method)]));
  const handlers = Object.fromEntries(
    methods.map(({ localName: name, methodKind }) => {
      const count = () => (calls[name] = (calls[name] ?? 0) + 1);
      const answer = script[name as keyof Script] as never;
      return [name, methodKind === "unary" ? unary(answer, count) : streaming(answer, count)];
    }),
  );
  server.addService(definition, handlers as unknown as UntypedServiceImplementation);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const stop = async () => {
    server.forceShutdown();
  };
  return { address: `127.0.0.1:${bound}`, port: bound, calls, stop, [Symbol.asyncDispose]: stop };
}

function define(method: DescMethod) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === "server_streaming",
    requestSerialize: (message: MessageShape<DescMessage>) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
    responseSerialize: (message: MessageInitShape<DescMessage>) =>
      Buffer.from(toBinary(method.output, create(method.output, message))),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

function unary(answer: Unary<"getTask"> | undefined, count: () => number): handleUnaryCall<never, unknown> {
  return (call, callback) => {
    const cancelled = new Promise<void>((resolve) => call.once("cancelled", resolve));
    const run = async () => {
      try {
        if (!answer) throw failure("UNIMPLEMENTED", "not in the script");
        callback(null, await answer(call.request, { metadata: call.metadata, attempt: count(), cancelled }));
      } catch (error) {
        callback(error as Error);
      }
    };
    void run();
  };
}

function streaming(
  answer: Streaming<"streamEvents"> | undefined,
  count: () => number,
): handleServerStreamingCall<never, unknown> {
  return (call) => {
    const cancelled = new Promise<void>((resolve) => call.once("cancelled", resolve));
    const run = async () => {
      if (!answer) throw failure("UNIMPLEMENTED", "not in the script");
      for await (const frame of answer(call.request, { metadata: call.metadata, attempt: count(), cancelled })) {
        call.write(frame);
      }
    };
    run().then(
      () => call.end(),
      (error) => call.emit("error", error),
    );
  };
}

interface FailureDetails {
  reason?: string;
  domain?: string;
  metadata?: Record<string, string>;
  violations?: { field: string; description: string }[];
  retryAfterMs?: number;
}

/** Returns an error status with google.rpc details like those of the service. */
export function failure(code: keyof typeof status, message: string, details: FailureDetails = {}) {
  const { reason, domain = "spool", metadata = {}, violations, retryAfterMs } = details;
  const packed = [];
  if (reason) packed.push(anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain, metadata })));
  if (violations) packed.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: violations })));
  if (retryAfterMs !== undefined) {
    const retry = create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) });
    packed.push(anyPack(RetryInfoSchema, retry));
  }
  const trailers = new Metadata();
  const body = create(StatusSchema, { code: status[code], message, details: packed });
  trailers.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, body)));
  return Object.assign(new Error(message), { code: status[code], details: message, metadata: trailers });
}

export const TASK_ID = "01930d5a-1111-7000-8000-000000000001";
export const T0 = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const RETRY_POLICY = create(RetryPolicySchema, {
  initialBackoff: durationFromMs(1_000),
  maxBackoff: durationFromMs(300_000),
  backoffMultiplier: 2,
  jitter: 0.2,
});

export function taskMessage(task: MessageInitShape<typeof TaskSchema> = {}): MessageInitShape<typeof TaskSchema> {
  return {
    taskId: TASK_ID,
    kind: "echo",
    status: TaskStatus.RUNNING,
    paramsDigest: "0".repeat(64),
    createdAt: timestampFromMs(T0),
    maxAttempts: 1,
    retryPolicy: RETRY_POLICY,
    ...task,
  };
}

type EventInit = MessageInitShape<typeof EventSchema>;
type Body = NonNullable<EventInit["body"]>;

export function event(seq: number, body: Body): EventInit {
  return { seq: BigInt(seq), time: timestampFromMs(T0 + seq), body };
}

export const progress = (seq: number, total = 5, phase = "echo"): EventInit =>
  event(seq, { case: "progress", value: { phase, current: BigInt(seq), total: BigInt(total) } });

export const log = (seq: number, message: string, level: LogLevel = LogLevel.INFO): EventInit =>
  event(seq, { case: "log", value: { level, message } });

export const final = (seq: number, status: TaskStatus = TaskStatus.SUCCEEDED): EventInit =>
  event(seq, {
    case: "final",
    value: {
      status,
      outcome:
        status === TaskStatus.SUCCEEDED
          ? { case: "result", value: { echoed: seq } }
          : { case: "error", value: { reason: "KIND_FAILED", message: "it broke" } },
    },
  });

/** Returns a frame of a running task, or of a finished task if it holds `final`. */
export function frame(events: EventInit[], lastSeq = 100) {
  const last = events.at(-1);
  const ended = last?.body?.case === "final";
  return {
    events,
    nextFromSeq: (last?.seq ?? 0n) + 1n,
    lastSeq: ended ? last!.seq! : BigInt(lastSeq),
    status: ended ? (last.body!.value as { status: TaskStatus }).status : TaskStatus.RUNNING,
  } satisfies MessageInitShape<typeof StreamEventsResponseSchema>;
}

/** Returns the events of a tape with a number of events, `final` last. */
export function tape(length: number): EventInit[] {
  return Array.from({ length }, (_, index) => (index + 1 < length ? progress(index + 1) : final(length)));
}

export interface Wire extends AsyncDisposable {
  readonly address: string;
  /** How many connections were made through the relay. */
  readonly connections: number;
  /** Existing connections stay open but carry nothing more, as behind a router that has dropped them. */
  goSilent(): void;
  cut(): void;
}

/** A TCP relay to a server on this machine. */
export async function openWire(port: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const relay = createServer((near) => {
    connections++;
    const far = dial(port, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {}).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    address: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    goSilent() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      relay.close();
    },
  };
}
