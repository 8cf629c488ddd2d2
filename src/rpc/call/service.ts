import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageShape,
} from "@bufbuild/protobuf";

/** What a handler knows of its call. Connect's HandlerContext is one, and so is what the gRPC binding gives. */
export interface CallContext {
  /** Fires when the caller goes away, its deadline passes or the server drains. Its reason is the error to answer. */
  readonly signal: AbortSignal;
  readonly requestHeader: Headers;
  /** One header by its name in lower case, without the others being made; left out: requestHeader has it. */
  readonly header?: (name: string) => string | undefined;
  /** Which connection the call has come by; what is shared is shared out by it. */
  readonly caller?: string | undefined;
  /** The trace that the call belongs to, as W3C writes it: its own span where calls are traced; null: none. */
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
 * An implementation of a service: plain async functions and async generators. It is written once and served by every
 * door: it is assignable to Connect's ServiceImpl, and addService of grpc-binding.ts takes it.
 */
export type ServiceHandlers<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Handler<Service["method"][Name]>;
};
