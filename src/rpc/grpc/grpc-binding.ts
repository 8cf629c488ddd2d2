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
import { contextIn, observeCall } from "../call/observed-call.ts";
import type { CallObserver } from "../call/observed-call.ts";
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
  /** When it begins, the signal of every open call fires with Draining, and calls that come after are refused. */
  drain: Drain;
  /** What a stream puts ahead of its reader before it waits, in bytes; one frame alone may be larger. */
  writeAheadMax: number;
  /** Is told of the calls. */
  observe?: CallObserver | undefined;
  log: Logger;
}

type UnaryCall = Parameters<handleUnaryCall<Buffer, Buffer>>[0];

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
    case "bidi_streaming":
      return serveBidiStreaming(method, handler as BidiStreamingHandler, options);
    default:
      throw new Error(`${methodPath(method)}: this binding does not serve ${method.methodKind} methods`);
  }
}

function serveUnary(
  method: DescMethod,
  handler: UnaryHandler,
  { drain, observe, log }: BindingOptions,
): handleUnaryCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: UnaryCall): Promise<Buffer> {
    using context = openCall(call, drain);
    const observed = observe?.(method, context);
    return await observeCall(observed, async () => {
      context.throwIfEnded();
      return encodeMessage(output, await handler(decodeRequest(method, call.request), contextIn(observed, context)));
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
  { drain, writeAheadMax, observe, log }: BindingOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
    using context = openCall(call, drain);
    const observed = observe?.(method, context);
    await observeCall(observed, async () => {
      context.throwIfEnded();
      const messages = handler(decodeRequest(method, call.request), contextIn(observed, context));
      await writeAll(call, messages, { output, writeAheadMax, context });
    });
  }

  return (call) => settleStream(call, answer(call), log);
}

function serveBidiStreaming(
  method: DescMethod,
  handler: BidiStreamingHandler,
  { drain, writeAheadMax, observe, log }: BindingOptions,
): handleBidiStreamingCall<Buffer, Buffer> {
  const { output } = method;

  async function answer(call: ServerDuplexStream<Buffer, Buffer>): Promise<void> {
    using context = openCall(call, drain);
    const observed = observe?.(method, context);
    await observeCall(observed, async () => {
      context.throwIfEnded();
      const messages = handler(readAll(call, method, context.signal), contextIn(observed, context));
      await writeAll(call, messages, { output, writeAheadMax, context });
    });
  }

  return (call) => settleStream(call, answer(call), log);
}

/** Leaving this in any way returns the handler's generator, so that what it holds is let go. */
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
 * What the client sends, no faster than it is asked for. Ends when the client has closed its side.
 *
 * @throws the signal's reason once that has fired: grpc-js only says that a cancelled call was closed too early
 */
async function* readAll(
  call: ServerDuplexStream<Buffer, Buffer>,
  method: DescMethod,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<DescMessage>, void, undefined> {
  try {
    // Who stops reading is not done with writing.
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
    // To grpc-js this event is the status to end with, once the frames before it are out.
    (status) => isGone(call) || call.emit("error", status),
    log,
  );
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
