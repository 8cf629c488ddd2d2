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
import { NAMESPACE_HEADER } from "./namespace.ts";
import { readServiceError } from "./service-error.ts";
import { tracedMetadata } from "./traced-metadata.ts";

/** Decodes an answer. An error that this throws means that the bytes are not such an answer. */
export type Read<Answer> = (bytes: Buffer) => Answer;

/** Calls any service over one gRPC channel, by its protobuf-es descriptors. */
export interface GrpcTransport {
  /** One attempt. It fails as UNAVAILABLE if no answer comes within `timeoutMs`. */
  unary<I extends DescMessage, Answer>(
    method: DescMethodUnary<I>,
    request: MessageInitShape<I>,
    options: { timeoutMs: number; signal?: AbortSignal | undefined; read: Read<Answer> },
  ): Promise<Answer>;
  /** One attempt. It fails as UNAVAILABLE if the reader waits and no message comes within `silenceMs`. */
  stream<I extends DescMessage, Answer>(
    method: DescMethodServerStreaming<I>,
    request: MessageInitShape<I>,
    options: { silenceMs: number; signal?: AbortSignal | undefined; read: Read<Answer> },
  ): AsyncGenerator<Answer, void, undefined>;
  /** One attempt at a bidirectional stream. It ends when the server ends it or when it is cancelled. */
  duplex<Answer>(
    method: DescMethodBiDiStreaming,
    options: { signal?: AbortSignal | undefined; read: Read<Answer> },
  ): DuplexCall<Answer>;
  /** Ends all open calls with an error, and rejects later ones. */
  close(): void;
}

/** A bidirectional stream. */
export interface DuplexCall<Answer> {
  /** The messages of the server. Can be read once; stopping early cancels the call. */
  readonly answers: AsyncGenerator<Answer, void, undefined>;
  /** Sends an encoded message. @returns false if the caller should wait for `onRoom` before it sends more */
  send(bytes: Uint8Array): boolean;
  onRoom(listener: () => void): void;
  /** Closes this side of the stream: nothing can be sent after it. */
  end(): void;
  /** Ends the call as UNAVAILABLE after a silence. The next call gets a new connection. */
  giveUp(silentMs: number): void;
}

/** By default, the library waits up to two minutes before it tries to reconnect. */
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

/** How much a server may send on one stream ahead of its reader: large enough that neither waits for the other. */
const FLOW_CONTROL_WINDOW_BYTES = 256 * 1024;

interface Call {
  cancel(): void;
}

/** A gRPC channel with one connection. */
interface Channel {
  readonly client: Client;
  /** How many calls are open on it. */
  calls: number;
}

/** @param target a gRPC target: `host:port`, `dns:…`, `unix:…` */
export function openGrpcTransport(
  target: string,
  credentials: ChannelCredentials,
  { token, namespace }: { token?: string | undefined; namespace?: string | undefined } = {},
): GrpcTransport {
  const metadata = new Metadata();
  if (namespace !== undefined) metadata.set(NAMESPACE_HEADER, namespace);
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const underWay = new Map<Call, (why: Error) => void>();
  /** The current channel, and abandoned channels with open calls. */
  const channels = new Set<Channel>();
  let channel = openChannel();
  let closed: Error | null = null;

  function openChannel(): Channel {
    const client = new Client(target, credentials, {
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS_MIN,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
      // The statistics of the library are never read.
      "grpc.enable_channelz": 0,
      // A separate pool, so that a new channel opens a new connection.
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
    });
    const opened = { client, calls: 0 };
    channels.add(opened);
    return opened;
  }

  /**
   * Makes the next call open a new connection. The old one closes after its last call ends, and not before: closing it
   * notifies the server, and a server on grpc-js cuts off open calls on such a connection at its next keepalive.
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

  /**
   * Abandons the channel of a silent server: its connection may be dead without a reset, and the channel would reuse
   * it.
   */
  function noAnswer(used: Channel, ms: number): SpoolRpcError {
    leave(used);
    return new SpoolRpcError("UNAVAILABLE", `nothing came from ${target} for ${ms} ms`);
  }

  /**
   * Abandons the channel of a draining server, which rejects calls until it exits: a load balancer may have other
   * servers.
   */
  function refused(used: Channel, error: unknown): SpoolRpcError {
    const failure = toRpcError(error, target);
    if (failure.reason === "DRAINING") leave(used);
    return failure;
  }

  /** Registers a call, so that the signal and `close` end it. `why` holds the reason. */
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
      call.on("error", () => {}); // The iteration throws the error. After the iteration, there is no other listener.
      using tracked = track(used, call, signal);
      let waiting = true;
      let ended = false;
      const timer = setTimeout(() => {
        // A slow reader does not make the server silent: the timer restarts when the reader asks for more.
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
      call.on("error", () => {}); // The iteration of `answers` throws the error.
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

// Messages are encoded and decoded outside of the library: it would report a failure as an INTERNAL answer of the
// server.

function encode<I extends DescMessage>(schema: I, request: MessageInitShape<I>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, request)));
}

function decode<Answer>(schema: DescMessage, bytes: Buffer, read: Read<Answer>): Answer {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof SpoolRpcError) throw error;
    throw brokenPromise(`the answer is not a valid ${schema.typeName}`, { cause: error });
  }
}

function toRpcError(error: unknown, target: string): SpoolRpcError {
  return error instanceof SpoolRpcError ? error : readServiceError(error as ServiceError, target);
}
