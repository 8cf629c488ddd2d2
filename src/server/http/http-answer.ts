import { constants } from "node:http2";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { HttpRequest, HttpResponse } from "./http-server.ts";

/**
 * The headers of every streamed answer, whatever its protocol. A proxy that gathers an answer, or compresses it, would
 * hold events back until the task has ended: nginx does the first by default, and obeys `x-accel-buffering`.
 */
export const STREAM_HEADERS = {
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
} as const;

/** The path of a request, without its query. */
export function pathOf({ url = "/" }: HttpRequest): string {
  return url.split("?", 1)[0]!;
}

/** Which connection a request has come by. */
export function callerOf({ socket }: HttpRequest): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

/** Answers with a JSON text. */
export function sendJson(response: HttpResponse, status: number, body: string | Uint8Array): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

/**
 * Answers with an error as Connect's unary calls do, so that whatever is refused here reads the same.
 *
 * @param status of HTTP; that of the error's code, where none is given
 */
export function sendError(response: HttpResponse, error: ConnectError, status = codeToHttpStatus(error.code)): void {
  const retryMs = retryAfterMs(error);
  if (retryMs !== undefined) response.setHeader("retry-after", `${Math.ceil(retryMs / 1_000)}`);
  if (error.code === Code.Unauthenticated) response.setHeader("www-authenticate", "Bearer");
  sendJson(response, status, errorToJsonBytes(error, undefined));
}

/** The hint of an error that is to be sent. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const [hint] = error.findDetails(RetryInfoSchema);
  return hint?.retryDelay && durationMs(hint.retryDelay);
}

/**
 * Has the connection (HTTP/1.1), or the request's stream (HTTP/2), closed once its answer is out, however much of the
 * request has not come: a caller that is refused holds nothing open. To be called before the answer begins.
 */
export function closeAfter(request: HttpRequest, response: HttpResponse): void {
  if ("stream" in request) {
    response.once("finish", () => request.stream.close(constants.NGHTTP2_NO_ERROR));
  } else {
    response.setHeader("connection", "close");
  }
}
