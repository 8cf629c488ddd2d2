import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  MethodDefinition,
  Server,
  ServerWritableStream,
  StatusObject,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import { SpoolError } from "../domain/errors.ts";
import type { Drain } from "./drain.ts";
import { callCancelled, callDeadlineExceeded, toRpcError } from "./errors.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { CallContext, ServerStreamingHandler, ServiceHandlers, UnaryHandler } from "./service.ts";
import { encodeMessage } from "./tape-message.ts";

interface BindingOptions {
  /** When it begins, the signal of every open call fires with Draining, and calls that come after are refused. */
  drain: Drain;
  /** What a stream puts ahead of its reader before it waits, in bytes; one frame alone may be larger. */
  writeAheadMax: number;
  log: Logger;
}

type Call = Parameters<handleUnaryCall<Buffer, Buffer>>[0] | ServerWritableStream<Buffer, Buffer>;

/**
 * Serves an implementation on a grpc-js server.
 *
 * To grpc-js every message is bytes: decoding and encoding are done here, so that a request that cannot be decoded and
 * an answer that cannot be encoded end as errors of this service. The server must have at least one interceptor that
 * wraps calls in a ServerInterceptingCall: without one grpc-js hands on calls that it has already ended itself (their
 * deadline had passed, say, before the client closed its side), and nothing would ever tell their handlers.
 */
export function addService<Service extends DescService>(
  server: Server,
  service: Service,
  handlers: ServiceHandlers<Service>,
  options: BindingOptions,
): void {
  const definitions: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    definitions[method.localName] = defineMethod(method);
    // The mapped type of ServiceHandlers is lost over a list of methods; addService's signature has held it.
    implementation[method.localName] = serve(method, (handlers as Record<string, unknown>)[method.localName], options);
  }
  server.addService(definitions, implementation);
}

function methodPath({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function defineMethod(method: DescMethod): MethodDefinition<Buffer, Buffer> {
  const asIs = (bytes: Buffer) => bytes;
  return {
    path: methodPath(method),
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

function serve(method: DescMethod, handler: unknown, { log, ...rest }: BindingOptions) {
  const options = { ...rest, log: log.child({ rpc: methodPath(method) }) };
  switch (method.methodKind) {
    case "unary":
      return serveUnary(method, handler as UnaryHandler, options);
    case "server_streaming":
      return serveServerStreaming(method, handler as ServerStreamingHandler, options);
    default:
      throw new Error(`${methodPath(method)}: this binding does not serve ${method.methodKind} methods`);
  }
}

function serveUnary(
  { input, output }: DescMethod,
  handler: UnaryHandler,
  { drain, log }: BindingOptions,
): handleUnaryCall<Buffer, Buffer> {
  async function answer(call: Call): Promise<Buffer> {
    using context = openCall(call, drain);
    context.throwIfEnded();
    return encodeMessage(output, await handler(decode(input, call.request), context));
  }

  return (call, callback) => {
    void settle(
      answer(call),
      (bytes) => callback(null, bytes),
      (status) => callback(status),
      log,
    );
  };
}

function serveServerStreaming(
  { input, output }: DescMethod,
  handler: ServerStreamingHandler,
  { drain, writeAheadMax, log }: BindingOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  async function answer(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
    using context = openCall(call, drain);
    context.throwIfEnded();
    const writer = new FrameWriter(call, { aheadMax: writeAheadMax, signal: context.signal });
    // Leaving this loop in any way returns the generator, so that what it holds is let go.
    for await (const message of handler(decode(input, call.request), context)) {
      if (isGone(call)) throw context.signal.reason;
      await writer.write(encodeMessage(output, message));
    }
  }

  return (call) => {
    void settle(
      answer(call),
      () => void (isGone(call) || call.end()),
      // To grpc-js this event is the status to end with, once the frames before it are out.
      (status) => isGone(call) || call.emit("error", status),
      log,
    );
  };
}

/** Hands an answer to grpc-js, or the error that stands in its place. Never rejects. */
async function settle<Answer>(
  answer: Promise<Answer>,
  succeed: (answer: Answer) => void,
  fail: (status: StatusObject) => void,
  log: Logger,
): Promise<void> {
  try {
    succeed(await answer);
  } catch (error) {
    try {
      fail(toGrpcStatus(toRpcError(error, log)));
    } catch (fault) {
      log.error({ err: fault }, "an error could not be handed to grpc-js");
    }
  }
}

/** Writes frames no faster than they are read: what waits in memory is bounded in bytes. */
class FrameWriter {
  readonly #call: ServerWritableStream<Buffer, Buffer>;
  readonly #aheadMax: number;
  readonly #signal: AbortSignal;
  #aheadBytes = 0;
  #wake: (() => void) | undefined;

  constructor(
    call: ServerWritableStream<Buffer, Buffer>,
    { aheadMax, signal }: { aheadMax: number; signal: AbortSignal },
  ) {
    this.#call = call;
    this.#aheadMax = aheadMax;
    this.#signal = signal;
  }

  /**
   * Resolves when there is room for the next frame. The stream's own measure, which counts messages, would let
   * sixteen frames of megabytes pile up for a reader that has stopped.
   *
   * @throws the signal's reason, if that fires first
   */
  async write(frame: Buffer): Promise<void> {
    this.#aheadBytes += frame.byteLength;
    this.#call.write(frame, () => {
      this.#aheadBytes -= frame.byteLength;
      if (this.#aheadBytes < this.#aheadMax) this.#wake?.();
    });
    if (this.#aheadBytes >= this.#aheadMax) await this.#room();
  }

  #room(): Promise<void> {
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason as Error);
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#wake = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
    });
  }
}

/**
 * The context of a call, and its end: disposed of when nothing needs its signal any more. The signal is made for those
 * who ask for it; most calls are over before they have anything to wait for.
 */
function openCall(call: Call, drain: Drain): OpenCall {
  let controller: AbortController | undefined;
  let ended: { reason: unknown } | undefined;
  const end = (reason: unknown) => {
    ended ??= { reason };
    controller?.abort(reason);
  };
  const settle = drain.onBegin(end);
  // grpc-js ends a call at its deadline by itself, and says no more of it than that it was cancelled.
  const onCancelled = () => end(isOverdue(call) ? callDeadlineExceeded() : callCancelled());
  call.once("cancelled", onCancelled);
  return {
    get signal() {
      controller ??= new AbortController();
      if (ended !== undefined) controller.abort(ended.reason);
      return controller.signal;
    },
    get requestHeader() {
      return toHeaders(call.metadata);
    },
    throwIfEnded() {
      if (ended !== undefined) throw ended.reason;
    },
    [Symbol.dispose]() {
      settle();
      call.off("cancelled", onCancelled);
    },
  };
}

interface OpenCall extends CallContext, Disposable {
  /** @throws what the signal fires with, or would */
  throwIfEnded(): void;
}

/** A timer may fire before the clock has come to its time, by a little. */
const TIMER_SLACK_MS = 5;

function isOverdue(call: Call): boolean {
  return Number(call.getDeadline()) <= Date.now() + TIMER_SLACK_MS;
}

/** Whether nobody is there any more to write to. */
function isGone(call: ServerWritableStream<Buffer, Buffer>): boolean {
  return call.cancelled || call.destroyed;
}

function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key)) {
      headers.append(key, typeof value === "string" ? value : value.toString("base64"));
    }
  }
  return headers;
}

/** The decoder refuses text that is not UTF-8, as it does whatever else is not a message of the type. */
function decode<Desc extends DescMessage>(desc: Desc, bytes: Buffer): MessageShape<Desc> {
  try {
    return fromBinary(desc, bytes, { readUnknownFields: false });
  } catch (cause) {
    const isText = (cause as NodeJS.ErrnoException).code === "ERR_ENCODING_INVALID_ENCODED_DATA";
    const problem = isText ? "it holds text that is not valid UTF-8" : "its bytes are not one";
    throw new SpoolError("INVALID_ARGUMENT", `the request must be a ${desc.typeName}: ${problem}`, { cause });
  }
}
