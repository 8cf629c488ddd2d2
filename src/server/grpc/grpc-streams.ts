import { constants } from "node:http2";
import type { IncomingHttpHeaders, Http2Server, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { SpoolError, Unimplemented } from "../../domain/errors.ts";
import { toRpcError } from "../../rpc/errors.ts";
import { toGrpcStatus } from "../../rpc/grpc/grpc-status.ts";
import { StreamTurns } from "../../rpc/call/stream-turns.ts";

/** How long a caller may take to end its side of a call that has its answer. */
const LINGER_MS = 1_000;

const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/;
/** What grpc-js takes of a header that is text. */
const METADATA_VALUE = /^[ -~]*$/;

/** Of a server of grpc-js, what it does not show. */
interface GrpcServerParts {
  http2Servers: ReadonlyMap<Http2Server, unknown>;
  /** By the paths of their methods. */
  handlers: ReadonlyMap<string, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Stands before grpc-js where it has no place for what a server needs: paths that nothing is served at and other content
 * types are answered with errors as the service has them; a header that is no metadata is dropped, without its value
 * being told to anybody; calls that arrive together begin over several turns of the event loop; and a call that has its
 * answer is closed, however much of its request has not come.
 *
 * It replaces what grpc-js does with a stream, which its public face does not show.
 *
 * @param server that listens, with all its services
 * @param refusalOf why a call is refused before grpc-js has it; null: it is not. The same error each time is encoded once
 */
export function guardStreams(
  server: Server,
  { refusalOf, log }: { refusalOf: (path: string, caller: string) => SpoolError | null; log: Logger },
): void {
  const { http2Servers, handlers } = server as unknown as GrpcServerParts;
  const turns = new StreamTurns();
  const encoded = new WeakMap<SpoolError, OutgoingHttpHeaders>();
  for (const http2Server of http2Servers.keys()) {
    const listeners = http2Server.listeners("stream") as StreamListener[];
    http2Server.removeAllListeners("stream");
    const begin = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (stream.closed || stream.session === undefined) return; // Its caller has left before its turn.
      stream.once("finish", () => closeSoon(stream));
      const path = headers[":path"] ?? "";
      if (!CONTENT_TYPE.test(headers["content-type"] ?? "")) {
        const error = new SpoolError("INVALID_ARGUMENT", "content-type: must be application/grpc: this is a gRPC port");
        return refuse(stream, error, constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE);
      }
      if (!handlers.has(path)) return refuse(stream, new Unimplemented(`nothing is served at ${path}`));
      const refusal = refusalOf(path, callerOf(stream));
      if (refusal !== null) return refuse(stream, refusal);
      dropUnreadable(headers, log);
      for (const listener of listeners) listener(stream, headers);
    };
    http2Server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {}); // One that is reset while it waits for its turn has no other listener.
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

/** Which connection a call has come by, as grpc-js names it too. */
function callerOf({ session }: ServerHttp2Stream): string {
  return `${session?.socket.remoteAddress}:${session?.socket.remotePort}`;
}

/** The answer is left to go out: clients read it before they hear that nothing more of the request is wanted. */
function closeSoon(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.closed) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
  stream.once("close", () => clearTimeout(timer));
}

/** grpc-js would drop it too, and write it to standard error. */
function dropUnreadable(headers: IncomingHttpHeaders, log: Logger): void {
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || name.endsWith("-bin")) continue;
    if (METADATA_VALUE.test(String(value))) continue;
    delete headers[name];
    log.debug({ header: name }, "grpc: header dropped, its value is not printable ASCII");
  }
}
