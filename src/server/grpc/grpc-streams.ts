import { constants } from "node:http2";
import type { IncomingHttpHeaders, Http2Server, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { SpoolError, Unimplemented } from "../../domain/errors.ts";
import { toRpcError } from "../../rpc/errors.ts";
import { toGrpcStatus } from "../../rpc/grpc/grpc-status.ts";
import { StreamTurns } from "../../rpc/call/stream-turns.ts";

/** How long a caller may keep its side open after the response. */
const LINGER_MS = 1_000;

const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/;
/** The values of text headers that grpc-js accepts. */
const METADATA_VALUE = /^[ -~]*$/;

/** The private fields of a grpc-js server. */
interface GrpcServerParts {
  http2Servers: ReadonlyMap<Http2Server, unknown>;
  /** The handlers by method path. */
  handlers: ReadonlyMap<string, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Handles streams before grpc-js does, for what grpc-js does not offer:
 * unknown paths and content types get errors with a reason; invalid headers are dropped and their values never logged;
 * calls that arrive together start over several turns of the event loop; and a call is closed after its response, even
 * if its request is incomplete.
 *
 * Replaces the stream listener of grpc-js, which is not public.
 *
 * @param server a listening server with all its services
 * @param refusalOf returns why a call is refused before grpc-js handles it, or null. Each error object is encoded once
 */
export function guardStreams(
  server: Server,
  { refusalOf, log }: { refusalOf: (path: string, callerOf: () => string) => SpoolError | null; log: Logger },
): void {
  const { http2Servers, handlers } = server as unknown as GrpcServerParts;
  const turns = new StreamTurns();
  const encoded = new WeakMap<SpoolError, OutgoingHttpHeaders>();
  for (const http2Server of http2Servers.keys()) {
    const listeners = http2Server.listeners("stream") as StreamListener[];
    http2Server.removeAllListeners("stream");
    const begin = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (stream.closed || stream.session === undefined) return; // The caller disconnected before its turn.
      stream.on("finish", closeSoon);
      const path = headers[":path"] ?? "";
      if (!CONTENT_TYPE.test(headers["content-type"] ?? "")) {
        const error = new SpoolError("INVALID_ARGUMENT", "content-type: must be application/grpc, this is a gRPC port");
        return refuse(stream, error, constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE);
      }
      if (!handlers.has(path)) return refuse(stream, new Unimplemented(`unknown method ${path}`));
      const refusal = refusalOf(path, () => callerOf(stream));
      if (refusal !== null) return refuse(stream, refusal);
      dropUnreadable(headers, log);
      for (const listener of listeners) listener(stream, headers);
      // A request without any bytes may have ended before its turn. grpc-js would wait for that event forever.
      if (stream.readableEnded) stream.emit("end");
    };
    http2Server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", ignore); // A stream that is reset while it waits for its turn has no other listener.
      turns.start(stream.session!, () => begin(stream, headers));
    });
  }

  function refuse(stream: ServerHttp2Stream, error: SpoolError, httpStatus = 200): void {
    let headers = encoded.get(error);
    if (headers === undefined) encoded.set(error, (headers = encode(error)));
    stream.respond({ ":status": httpStatus, ...headers }, { endStream: true });
    stream.resume();
  }

  function encode(error: SpoolError): OutgoingHttpHeaders {
    const { code, details, metadata } = toGrpcStatus(toRpcError(error, log));
    return {
      "content-type": "application/grpc+proto",
      "grpc-status": code,
      "grpc-message": encodeURI(details),
      ...metadata.toHttp2Headers(),
    };
  }
}

/** Returns the connection of a call, in the format of grpc-js. */
function callerOf({ session }: ServerHttp2Stream): string {
  return `${session?.socket.remoteAddress}:${session?.socket.remotePort}`;
}

/** Closes the stream after a delay: clients must read the response before they learn that the request was cut off. */
function closeSoon(this: ServerHttp2Stream): void {
  if (this.readableEnded || this.closed) return;
  const timer = setTimeout(() => this.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
  this.once("close", () => clearTimeout(timer));
}

function ignore(): void {}

/** Drops invalid headers. grpc-js would drop them as well, and write their values to standard error. */
function dropUnreadable(headers: IncomingHttpHeaders, log: Logger): void {
  for (const name of Object.keys(headers)) {
    if (METADATA_VALUE.test(String(headers[name]))) continue;
    if (name.startsWith(":") || name.endsWith("-bin")) continue;
    delete headers[name];
    log.debug({ header: name }, "grpc: header dropped, its value is not printable ASCII");
  }
}
