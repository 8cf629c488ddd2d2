import type { DescMethodServerStreaming, DescMethodUnary, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { TapeAnswer } from "../../codec/tape-page.ts";
import type { Event } from "../../gen/spool/v1/event_pb.ts";

/** A message with events of a tape. */
export type TapeMessage = Message & { events: Event[] };

export interface UnaryLimits {
  /** How long to wait for the answer, in ms. After that, the call fails as UNAVAILABLE. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface StreamLimits {
  /** How long to wait for a message, in ms, while the reader waits. After that, the call fails as UNAVAILABLE. */
  silenceMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Makes the calls of a caller, one attempt each. Calls fail with SpoolRpcError or with the reason of the signal. Stopping
 * early to read a stream ends its call.
 */
export interface Transport {
  unary<I extends Message, O extends Message>(
    method: DescMethodUnary<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    limits: UnaryLimits,
  ): Promise<O>;
  stream<I extends Message, O extends Message>(
    method: DescMethodServerStreaming<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    limits: StreamLimits,
  ): AsyncGenerator<O, void, undefined>;
  /** A call whose answer has events. */
  readTape<I extends Message, O extends TapeMessage>(
    method: DescMethodUnary<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    limits: UnaryLimits,
  ): Promise<TapeAnswer<O>>;
  /** A stream whose messages have events. */
  streamTape<I extends Message, O extends TapeMessage>(
    method: DescMethodServerStreaming<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    limits: StreamLimits,
  ): AsyncGenerator<TapeAnswer<O>, void, undefined>;
  /** Ends all open calls with an error, and rejects later ones. */
  close(): void;
}
