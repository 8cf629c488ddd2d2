import { randomInt } from "node:crypto";
import { once } from "node:events";
import type { DescMethod } from "@bufbuild/protobuf";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "pino";
import { callCancelled } from "../../rpc/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { NAMESPACE_HEADER } from "../../rpc/call/guard.ts";
import type { Drain } from "../../rpc/call/drain.ts";
import { tracedContext, runTracked } from "../../rpc/call/tracked-call.ts";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import type { Identity } from "../../rpc/call/identity.ts";
import type { CallContext } from "../../rpc/call/service.ts";
import { callerOf, retryAfterMs, sendError, STREAM_HEADERS } from "./http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "./http-server.ts";

const HEADERS = { "content-type": "text/event-stream", ...STREAM_HEADERS };

/** The range of the random delay after which a disconnected EventSource reconnects, so that not all reconnect at once. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 1_500;

/** A stream of server-sent events. */
export interface EventStream {
  /** The RPC method behind the stream. */
  method: DescMethod;
  /** Yields the encoded events of a request, one or several at a time. Returned early when the caller disconnects. */
  read(request: HttpRequest, context: CallContext): AsyncIterable<string>;
}

interface EventSourceOptions {
  drain: Drain;
  /** Records each call. */
  track: CallTracker | undefined;
  identity: Identity;
  log: Logger;
}

/** Keeps an idle stream alive: a comment, which an EventSource ignores. */
export const HEARTBEAT = ":\n\n";

/**
 * Creates a handler that responds with server-sent events. An error before the first event becomes an error response,
 * as for Connect calls. A later error is sent as an event `error` with the same JSON, and the stream ends. An EventSource
 * then reconnects after the retry delay of the error. A stream without events gets 204: an EventSource does not
 * reconnect after 204.
 *
 * Reads from the stream no faster than the caller does.
 */
export function eventSource(
  { method, read }: EventStream,
  { drain, track, identity, log }: EventSourceOptions,
): HttpHandler {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.debug({ err: error }, "http: response not written");
      response.destroy();
    });
  };

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    let isGone = false;
    response.once("close", () => {
      isGone = true;
      controller.abort(callCancelled());
    });
    const settle = drain.onBegin((reason) => controller.abort(reason));
    const forget = identity.onInvalid((reason) => controller.abort(reason));
    const context: CallContext = { signal, requestHeader: toHeaders(request), caller: callerOf(request), identity };
    const call = track?.(method, context);
    try {
      await runTracked(call, async () => {
        signal.throwIfAborted();
        for await (const text of read(request, tracedContext(call, context))) {
          if (!response.headersSent) begin(response);
          if (!response.write(text)) await once(response, "drain", { signal });
        }
      });
      if (!response.headersSent) response.writeHead(204);
      response.end();
    } catch (thrown) {
      if (isGone) return;
      const error = toConnectError(thrown, log);
      if (!response.headersSent) return sendError(response, error);
      const retryMs = retryAfterMs(error);
      const retry = retryMs === undefined ? "" : `retry: ${retryMs}\n`;
      response.end(`${retry}event: error\ndata: ${JSON.stringify(errorToJson(error, undefined))}\n\n`);
    } finally {
      settle();
      forget();
    }
  }
}

function begin(response: HttpResponse): void {
  response.writeHead(200, HEADERS);
  response.write(`retry: ${randomInt(RETRY_MS_MIN, RETRY_MS_MAX)}\n\n`);
}

/** Encodes one event. @param data must not contain line ends */
export function serverSentEvent(id: string | bigint, type: string, data: string): string {
  return `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
}

/** The query parameter that chooses the namespace of a stream: an EventSource cannot send a header. */
export const NAMESPACE_PARAMETER = "namespace";

/** Returns the headers of a request. The parameter becomes the header for it, which takes precedence. */
function toHeaders({ headers, url = "" }: HttpRequest): Headers {
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(":")); // Pseudo-headers of HTTP/2.
  const all = new Headers(plain.map(([name, value]): [string, string] => [name, String(value)]));
  const namespace = new URLSearchParams(url.split("?")[1]).get(NAMESPACE_PARAMETER);
  // A name that no header can carry is refused with the other parameters.
  if (namespace !== null && /^[\x21-\x7e]+$/.test(namespace) && !all.has(NAMESPACE_HEADER)) {
    all.set(NAMESPACE_HEADER, namespace);
  }
  return all;
}
