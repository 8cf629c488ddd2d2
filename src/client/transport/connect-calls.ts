import type { DescMethodServerStreaming, DescMethodUnary, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Transport as ConnectTransport } from "@connectrpc/connect";
import { readConnectError } from "../../codec/connect-error.ts";
import { fromEventMessage } from "../../codec/event.ts";
import { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { StreamLimits, TapeMessage, Transport, UnaryLimits } from "./transport.ts";

/** Makes the calls of a caller over any transport of Connect. @param target the server's name, for errors */
export function callsOverConnect(connect: ConnectTransport, target: string): Transport {
  const closed = new AbortController();

  /** Runs a call that ends when the signal fires, when the client closes, or after `ms` without a call of `heard`. */
  async function* limited<Answer>(
    { ms, signal }: { ms: number; signal: AbortSignal | undefined },
    open: (signal: AbortSignal) => AsyncIterable<Answer>,
  ): AsyncGenerator<Answer, void, undefined> {
    signal?.throwIfAborted();
    closed.signal.throwIfAborted();
    const over = new AbortController();
    const noAnswer = new SpoolRpcError("UNAVAILABLE", `nothing came from ${target} for ${ms} ms`);
    const startTimer = () => setTimeout(() => over.abort(noAnswer), ms);
    const ends = AbortSignal.any([over.signal, closed.signal, ...(signal === undefined ? [] : [signal])]);
    let timer = startTimer();
    try {
      for await (const answer of open(ends)) {
        clearTimeout(timer); // A slow reader does not make the server silent.
        yield answer;
        timer = startTimer();
      }
    } catch (error) {
      throw ends.aborted ? ends.reason : readConnectError(error, target);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  async function unary<I extends Message, O extends Message>(
    method: DescMethodUnary<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    { timeoutMs, signal }: UnaryLimits,
  ): Promise<O> {
    async function* open(signal: AbortSignal) {
      yield (await connect.unary(method, signal, undefined, undefined, request)).message;
    }
    for await (const answer of limited({ ms: timeoutMs, signal }, open)) return answer;
    throw new Error("a call without an answer");
  }

  function stream<I extends Message, O extends Message>(
    method: DescMethodServerStreaming<GenMessage<I>, GenMessage<O>>,
    request: MessageInitShape<GenMessage<I>>,
    { silenceMs, signal }: StreamLimits,
  ): AsyncGenerator<O, void, undefined> {
    async function* requests() {
      yield request;
    }
    async function* open(signal: AbortSignal) {
      yield* (await connect.stream(method, signal, undefined, undefined, requests())).message;
    }
    return limited({ ms: silenceMs, signal }, open);
  }

  return {
    unary,
    stream,
    async readTape(method, request, limits) {
      return tapeAnswer(await unary(method, request, limits));
    },
    async *streamTape(method, request, limits) {
      for await (const message of stream(method, request, limits)) yield tapeAnswer(message);
    },
    close: () => closed.abort(new Error("the client is closed")),
  };
}

function tapeAnswer<Answer extends TapeMessage>(message: Answer) {
  return { message, events: message.events.map(fromEventMessage) };
}
