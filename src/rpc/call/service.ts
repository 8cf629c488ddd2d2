import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Identity } from "./identity.ts";

/** What a handler knows about its call. Connect's HandlerContext and the context of the gRPC binding both satisfy it. */
export interface CallContext {
  /** Fires when the caller disconnects, its deadline passes or the server drains. Its reason is the error to return. */
  readonly signal: AbortSignal;
  readonly requestHeader: Headers;
  /** Reads one header by its lower-case name without building all of them; undefined: read requestHeader. */
  readonly header?: ((name: string) => string | undefined) | undefined;
  /** The connection of the call. Limits are applied per connection. */
  readonly caller?: string | undefined;
  /** The authenticated caller. Undefined: the call was not authenticated, and no guarded service serves it. */
  readonly identity?: Identity | undefined;
  /** The W3C traceparent of the call: its own span if calls are traced, else its caller's; null: none. */
  readonly traceparent?: string | null;
}

export type UnaryHandler<Input extends DescMessage = DescMessage, Output extends DescMessage = DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
) => Promise<MessageShape<Output>>;

export type ServerStreamingHandler<
  Input extends DescMessage = DescMessage,
  Output extends DescMessage = DescMessage,
> = (request: MessageShape<Input>, context: CallContext) => AsyncIterable<MessageShape<Output>>;

export type BidiStreamingHandler<Input extends DescMessage = DescMessage, Output extends DescMessage = DescMessage> = (
  requests: AsyncIterable<MessageShape<Input>>,
  context: CallContext,
) => AsyncIterable<MessageShape<Output>>;

type Handler<Method extends DescMethod> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? UnaryHandler<Input, Output>
    : Method extends DescMethodServerStreaming<infer Input, infer Output>
      ? ServerStreamingHandler<Input, Output>
      : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
        ? BidiStreamingHandler<Input, Output>
        : never;

/**
 * An implementation of a service: plain async functions and async generators. Every endpoint serves the same
 * implementation: it is assignable to Connect's ServiceImpl, and addService in grpc-binding.ts accepts it.
 */
export type ServiceHandlers<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Handler<Service["method"][Name]>;
};
