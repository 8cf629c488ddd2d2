import { constants } from "node:http2";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { HttpRequest, HttpResponse } from "./http-server.ts";

/**
 * The headers of every streamed response, in all protocols. A proxy that buffers or compresses a response would delay
 * events until the task has ended. nginx buffers by default and respects `x-accel-buffering`.
 */
export const STREAM_HEADERS = {
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
} as const;

/** Returns the path of a request, without its query. */
export function pathOf({ url = "/" }: HttpRequest): string {
  return url.split("?", 1)[0]!;
}

/** Returns the connection of a request. */
export function callerOf({ socket }: HttpRequest): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

/** Sends a JSON response. */
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
 * Sends an error as Connect's unary calls do, so that all errors of the HTTP endpoint have one format.
 *
 * @param status the HTTP status; by default that of the error's code
 */
export function sendError(response: HttpResponse, error: ConnectError, status = codeToHttpStatus(error.code)): void {
  const retryMs = retryAfterMs(error);
  if (retryMs !== undefined) response.setHeader("retry-after", `${Math.ceil(retryMs / 1_000)}`);
  if (error.code === Code.Unauthenticated) response.setHeader("www-authenticate", "Bearer");
  sendJson(response, status, errorToJsonBytes(error, undefined));
}

/** Returns the retry delay of an error, if it has one. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const [hint] = error.findDetails(RetryInfoSchema);
  return hint?.retryDelay && durationMs(hint.retryDelay);
}

/**
 * Closes the connection (HTTP/1.1) or the stream (HTTP/2) after the response, even if the request is incomplete, so that
 * a refused caller keeps nothing open. Call this before the response starts.
 */
export function closeAfter(request: HttpRequest, response: HttpResponse): void {
  if ("stream" in request) {
    response.once("finish", () => request.stream.close(constants.NGHTTP2_NO_ERROR));
  } else {
    response.setHeader("connection", "close");
  }
}
