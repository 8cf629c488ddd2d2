import { randomInt } from "node:crypto";
import { once } from "node:events";
import type { DescMethod } from "@bufbuild/protobuf";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "pino";
import { callCancelled } from "../../rpc/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import type { Drain } from "../../rpc/call/drain.ts";
import { tracedContext, runTracked } from "../../rpc/call/tracked-call.ts";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import type { CallContext } from "../../rpc/call/service.ts";
import { callerOf, retryAfterMs, sendError, STREAM_HEADERS } from "./http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "./http-server.ts";

const HEADERS = { "content-type": "text/event-stream", ...STREAM_HEADERS };

/** When an EventSource that was cut off comes back, at random between these, so that not all come at once. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 1_500;

/** A stream of events. */
export interface EventStream {
  /** What is called by it. */
  method: DescMethod;
  /** The events of a request, one or several at a time as they are to be sent. Left when the caller has gone. */
  read(request: HttpRequest, context: CallContext): AsyncIterable<string>;
}

interface EventSourceOptions {
  drain: Drain;
  /** Is told of the calls. */
  track: CallTracker | undefined;
  log: Logger;
}

/** What keeps a quiet stream alive: a comment, of which nobody is told. */
export const HEARTBEAT = ":\n\n";

/**
 * Answers with a stream of server-sent events. What is thrown before the first is an answer as Connect's calls have
 * it; what is thrown later is told by an event `error`, with the same JSON, and the stream ends: an EventSource then
 * comes back by itself, after the time that the error says. A source that ends before its first event is answered with
 * 204: that tells an EventSource not to come back.
 *
 * The stream is asked for more no faster than the caller takes it.
 */
export function eventSource({ method, read }: EventStream, { drain, track, log }: EventSourceOptions): HttpHandler {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.debug({ err: error }, "an answer could not be written");
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
    const context: CallContext = { signal, requestHeader: toHeaders(request), caller: callerOf(request) };
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
    }
  }
}

function begin(response: HttpResponse): void {
  response.writeHead(200, HEADERS);
  response.write(`retry: ${randomInt(RETRY_MS_MIN, RETRY_MS_MAX)}\n\n`);
}

/** One event. @param data without line ends */
export function serverSentEvent(id: string | bigint, type: string, data: string): string {
  return `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
}

function toHeaders({ headers }: HttpRequest): Headers {
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(":")); // Of HTTP/2's own.
  return new Headers(plain.map(([name, value]): [string, string] => [name, String(value)]));
}
