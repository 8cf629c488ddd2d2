import type { DescMessage, DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
  Server,
  ServerDuplexStream,
  ServerWritableStream,
  StatusObject,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import { WorkRequestSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import { decodeRequest } from "../validation/decode.ts";
import { decodeWork } from "../validation/decode-work.ts";
import type { Drain } from "../call/drain.ts";
import { toRpcError } from "../errors.ts";
import { FrameWriter } from "./frame-writer.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import { tracedContext, runTracked } from "../call/tracked-call.ts";
import type { CallTracker } from "../call/tracked-call.ts";
import { isGone, openCall } from "./open-call.ts";
import type { StreamCall } from "./open-call.ts";
import type {
  BidiStreamingHandler,
  CallContext,
  ServerStreamingHandler,
  ServiceHandlers,
  UnaryHandler,
} from "../call/service.ts";
import { encodeMessage } from "../codec/tape-message.ts";

interface BindingOptions {
  /** When the drain begins, the signal of every open call fires with Draining, and later calls are refused. */
  drain: Drain;
  /** How many bytes a stream buffers ahead of its reader before it waits. A single frame may be larger. */
  writeAheadMax: number;
  /** Records each call. */
  track?: CallTracker | undefined;
  log: Logger;
}

type UnaryCall = Parameters<handleUnaryCall<Buffer, Buffer>>[0];

/**
 * Serves an implementation on a grpc-js server.
 *
 * grpc-js passes messages through as bytes. This binding decodes and encodes, so that a request that cannot be decoded
 * and a response that cannot be encoded become errors with a reason. The server must have at least one interceptor that
 * wraps calls in a ServerInterceptingCall. Without one, grpc-js also passes on calls that it has already ended (for
 * example past their deadline), and their handlers would never learn of the end.
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
    // TypeScript loses the mapped type of ServiceHandlers over a list of methods. addService's signature enforces it.
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
    case "bidi_streaming":
      return serveBidiStreaming(method, handler as BidiStreamingHandler, options);
    default:
      throw new Error(`${methodPath(method)}: this binding does not serve ${method.methodKind} methods`);
  }
}

function serveUnary(
  method: DescMethod,
  handler: UnaryHandler,
  { drain, track, log }: BindingOptions,
): handleUnaryCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: UnaryCall): Promise<Buffer> {
    using context = openCall(call, drain);
    const tracked = track?.(method, context);
    return await runTracked(tracked, async () => {
      context.throwIfEnded();
      return encodeMessage(output, await handler(decodeRequest(method, call.request), tracedContext(tracked, context)));
    });
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
  method: DescMethod,
  handler: ServerStreamingHandler,
  { drain, writeAheadMax, track, log }: BindingOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
    using context = openCall(call, drain);
    const tracked = track?.(method, context);
    await runTracked(tracked, async () => {
      context.throwIfEnded();
      const messages = handler(decodeRequest(method, call.request), tracedContext(tracked, context));
      await writeAll(call, messages, { output, writeAheadMax, context });
    });
  }

  return (call) => settleStream(call, answer(call), log);
}

function serveBidiStreaming(
  method: DescMethod,
  handler: BidiStreamingHandler,
  { drain, writeAheadMax, track, log }: BindingOptions,
): handleBidiStreamingCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: ServerDuplexStream<Buffer, Buffer>): Promise<void> {
    using context = openCall(call, drain);
    const tracked = track?.(method, context);
    await runTracked(tracked, async () => {
      context.throwIfEnded();
      const messages = handler(readAll(call, method, context.signal), tracedContext(tracked, context));
      await writeAll(call, messages, { output, writeAheadMax, context });
    });
  }

  return (call) => settleStream(call, answer(call), log);
}

/** Writes all messages. However the loop ends, the handler's generator is returned and releases what it holds. */
async function writeAll(
  call: StreamCall,
  messages: AsyncIterable<MessageShape<DescMessage>>,
  { output, writeAheadMax, context }: { output: DescMessage; writeAheadMax: number; context: CallContext },
): Promise<void> {
  const writer = new FrameWriter(call, { aheadMax: writeAheadMax, signal: context.signal });
  for await (const message of messages) {
    if (isGone(call)) throw context.signal.reason;
    await writer.write(encodeMessage(output, message));
  }
}

/**
 * Reads the client's messages, no faster than they are consumed. Ends when the client has closed its side.
 *
 * @throws the signal's reason once the signal has fired: grpc-js only reports a premature close
 */
async function* readAll(
  call: ServerDuplexStream<Buffer, Buffer>,
  method: DescMethod,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<DescMessage>, void, undefined> {
  try {
    // The handler may stop reading and go on writing.
    for await (const bytes of call.iterator({ destroyOnReturn: false })) {
      yield method.input === WorkRequestSchema
        ? await decodeWork(bytes as Buffer)
        : decodeRequest(method, bytes as Buffer);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

function settleStream(call: StreamCall, answer: Promise<void>, log: Logger): void {
  void settle(
    answer,
    () => void (isGone(call) || call.end()),
    // grpc-js ends the call with this event's status after it has sent the frames before.
    (status) => isGone(call) || call.emit("error", status),
    log,
  );
}

/** Passes the response or the error to grpc-js. Never rejects. */
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
      log.error({ err: fault }, "grpc: error not sent, grpc-js rejected the status");
    }
  }
}
