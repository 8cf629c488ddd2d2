import { create, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { Client, Metadata } from "@grpc/grpc-js";
import type { ChannelCredentials, ServiceError } from "@grpc/grpc-js";
import { brokenPromise, SpoolRpcError } from "../../codec/rpc-error.ts";
import { readServiceError } from "./service-error.ts";
import { tracedMetadata } from "./traced-metadata.ts";

/** Reads an answer from its bytes. What it throws is taken for bytes that are none. */
export type Read<Answer> = (bytes: Buffer) => Answer;

/** Calls of any service, from its protobuf-es descriptors, over one gRPC channel. */
export interface GrpcTransport {
  /** One attempt. Without an answer in `timeoutMs` it fails as UNAVAILABLE. */
  unary<I extends DescMessage, Answer>(
    method: DescMethodUnary<I>,
    request: MessageInitShape<I>,
    options: { timeoutMs: number; signal?: AbortSignal | undefined; read: Read<Answer> },
  ): Promise<Answer>;
  /** One attempt. It fails as UNAVAILABLE when no message comes within `silenceMs` while one is waited for. */
  stream<I extends DescMessage, Answer>(
    method: DescMethodServerStreaming<I>,
    request: MessageInitShape<I>,
    options: { silenceMs: number; signal?: AbortSignal | undefined; read: Read<Answer> },
  ): AsyncGenerator<Answer, void, undefined>;
  /** One attempt at a stream both ways. It ends when the server ends it, or is cancelled. */
  duplex<Answer>(
    method: DescMethodBiDiStreaming,
    options: { signal?: AbortSignal | undefined; read: Read<Answer> },
  ): DuplexCall<Answer>;
  /** Ends the calls under way with an error, and every later one. */
  close(): void;
}

/** A stream that both sides write to. */
export interface DuplexCall<Answer> {
  /** What the server sends. Read once; leaving it cancels the call. */
  readonly answers: AsyncGenerator<Answer, void, undefined>;
  /** Sends a message in its bytes. @returns whether more may be sent at once; else `onRoom` says when */
  send(bytes: Uint8Array): boolean;
  onRoom(listener: () => void): void;
  /** Closes this side: nothing is sent any more. */
  end(): void;
  /** Nothing has come for so long: ends the call as UNAVAILABLE, and the next call gets another connection. */
  giveUp(silentMs: number): void;
}

/** The library would wait up to two minutes before it looks for a lost server again. */
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

/** What a server may send of one stream before its reader has taken it: enough that neither waits for the other. */
const FLOW_CONTROL_WINDOW_BYTES = 256 * 1024;

interface Call {
  cancel(): void;
}

/** One connection at a time. */
interface Channel {
  readonly client: Client;
  /** How many calls are under way on it. */
  calls: number;
}

/** @param target what gRPC calls a target: `host:port`, `dns:…`, `unix:…` */
export function openGrpcTransport(target: string, credentials: ChannelCredentials, token?: string): GrpcTransport {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const underWay = new Map<Call, (why: Error) => void>();
  /** The one for the next call, and those that were left while calls were under way. */
  const channels = new Set<Channel>();
  let channel = openChannel();
  let closed: Error | null = null;

  function openChannel(): Channel {
    const client = new Client(target, credentials, {
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS_MIN,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
      // Nobody reads the books that the library would keep of each call.
      "grpc.enable_channelz": 0,
      // A pool of its own, so that a new channel is a new connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
    });
    const opened = { client, calls: 0 };
    channels.add(opened);
    return opened;
  }

  /**
   * The next call gets a new connection. The old one is closed when its last call has ended, and not before: the server
   * would be told, and one on grpc-js cuts off what is under way on such a connection at its next keepalive.
   */
  function leave(used: Channel): void {
    if (channel !== used || closed) return;
    channel = openChannel();
    closeIfDone(used);
  }

  function closeIfDone(used: Channel): void {
    if (used.calls > 0 || used === channel || !channels.delete(used)) return;
    used.client.close();
  }

  /** A server that says nothing may be one whose connection died without a word, and the channel would use it again. */
  function noAnswer(used: Channel, ms: number): SpoolRpcError {
    leave(used);
    return new SpoolRpcError("UNAVAILABLE", `nothing came from ${target} for ${ms} ms`);
  }

  /** A server that drains refuses until it exits, and the channel would ask it again: a balancer may have others. */
  function refused(used: Channel, error: unknown): SpoolRpcError {
    const failure = toRpcError(error, target);
    if (failure.reason === "DRAINING") leave(used);
    return failure;
  }

  /** Registers a call so that the signal and `close` end it. `why` then says what ended it. */
  function track(used: Channel, call: Call, signal: AbortSignal | undefined) {
    used.calls++;
    const tracked = {
      why: undefined as unknown,
      end(why: unknown) {
        tracked.why ??= why;
        call.cancel();
      },
      [Symbol.dispose]() {
        signal?.removeEventListener("abort", abort);
        underWay.delete(call);
        used.calls--;
        closeIfDone(used);
      },
    };
    const abort = () => tracked.end(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    underWay.set(call, tracked.end);
    return tracked;
  }

  function assertOpen(signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    if (closed) throw closed;
  }

  return {
    async unary(method, request, { timeoutMs, signal, read }) {
      assertOpen(signal);
      const bytes = encode(method.input, request);
      const answer = Promise.withResolvers<Buffer>();
      const used = channel;
      const call = used.client.makeUnaryRequest(
        pathOf(method),
        pass,
        pass,
        bytes,
        tracedMetadata(metadata),
        (error, message) => {
          if (error) answer.reject(error);
          else answer.resolve(message!);
        },
      );
      using tracked = track(used, call, signal);
      const timer = setTimeout(() => tracked.end(noAnswer(used, timeoutMs)), timeoutMs);
      try {
        return decode(method.output, await answer.promise, read);
      } catch (error) {
        throw tracked.why ?? refused(used, error);
      } finally {
        clearTimeout(timer);
      }
    },

    async *stream(method, request, { silenceMs, signal, read }) {
      assertOpen(signal);
      const bytes = encode(method.input, request);
      const used = channel;
      const call = used.client.makeServerStreamRequest(pathOf(method), pass, pass, bytes, tracedMetadata(metadata));
      call.on("error", () => {}); // The iteration throws it; an ended iteration has no other listener left.
      using tracked = track(used, call, signal);
      let waiting = true;
      let ended = false;
      const timer = setTimeout(() => {
        // A slow reader is not a silent server: the timer starts again when the reader asks for more.
        if (waiting) tracked.end(noAnswer(used, silenceMs));
      }, silenceMs);
      try {
        for await (const message of call as AsyncIterable<Buffer>) {
          waiting = false;
          yield decode(method.output, message, read);
          waiting = true;
          timer.refresh();
        }
        ended = true;
      } catch (error) {
        throw tracked.why ?? refused(used, error);
      } finally {
        clearTimeout(timer);
        if (!ended) call.cancel();
      }
    },

    duplex(method, { signal, read }) {
      assertOpen(signal);
      const used = channel;
      const call = used.client.makeBidiStreamRequest<Uint8Array, Buffer>(pathOf(method), asBuffer, pass, metadata);
      call.on("error", () => {}); // As above.
      const tracked = track(used, call, signal);
      async function* answers() {
        using _ = tracked;
        let ended = false;
        try {
          for await (const message of call as AsyncIterable<Buffer>) yield decode(method.output, message, read);
          ended = true;
        } catch (error) {
          throw tracked.why ?? refused(used, error);
        } finally {
          if (!ended) call.cancel();
        }
      }
      return {
        answers: answers(),
        send: (bytes) => call.write(bytes),
        onRoom: (listener) => void call.on("drain", listener),
        end: () => void call.end(),
        giveUp: (silentMs) => tracked.end(noAnswer(used, silentMs)),
      };
    },

    close() {
      closed ??= new Error("the client is closed");
      for (const end of underWay.values()) end(closed);
      for (const { client } of channels) client.close();
      channels.clear();
    },
  };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

const pass = (bytes: Buffer) => bytes;
const asBuffer = ({ buffer, byteOffset, length }: Uint8Array) => Buffer.from(buffer, byteOffset, length);

// Encoded and decoded outside of the library, which would report what cannot be as an INTERNAL answer of the server.

function encode<I extends DescMessage>(schema: I, request: MessageInitShape<I>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, request)));
}

function decode<Answer>(schema: DescMessage, bytes: Buffer, read: Read<Answer>): Answer {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof SpoolRpcError) throw error;
    throw brokenPromise(`the answer is no ${schema.typeName}`, { cause: error });
  }
}

function toRpcError(error: unknown, target: string): SpoolRpcError {
  return error instanceof SpoolRpcError ? error : readServiceError(error as ServiceError, target);
}
