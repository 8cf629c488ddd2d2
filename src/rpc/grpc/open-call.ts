import type { EventEmitter } from "node:events";
import type { Metadata, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Drain } from "../call/drain.ts";
import { checkTraceparent } from "../../telemetry/trace-context.ts";
import { callCancelled, callDeadlineExceeded } from "../errors.ts";
import type { CallContext } from "../call/service.ts";

/** A call of grpc-js that is written to for as long as it is open. */
export type StreamCall = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

type Call = ServerUnaryCall<Buffer, Buffer> | StreamCall;

/**
 * The context of a call, and its end: disposed of when nothing needs its signal any more. The signal is made for those
 * who ask for it; most calls are over before they have anything to wait for.
 */
export function openCall(call: Call, drain: Drain): OpenCall {
  let controller: AbortController | undefined;
  let ended: { reason: unknown } | undefined;
  const end = (reason: unknown) => {
    ended ??= { reason };
    controller?.abort(reason);
  };
  const settle = drain.onBegin(end);
  // grpc-js ends a call at its deadline by itself, and says no more of it than that it was cancelled.
  const onCancelled = () => end(isOverdue(call) ? callDeadlineExceeded() : callCancelled());
  const events: EventEmitter = call;
  events.once("cancelled", onCancelled);
  return {
    get signal() {
      controller ??= new AbortController();
      if (ended !== undefined) controller.abort(ended.reason);
      return controller.signal;
    },
    get caller() {
      return call.getPeer();
    },
    get requestHeader() {
      return toHeaders(call.metadata);
    },
    header: (name) => call.metadata.get(name)[0]?.toString(),
    get traceparent() {
      return checkTraceparent(call.metadata.get("traceparent")[0]?.toString());
    },
    throwIfEnded() {
      if (ended !== undefined) throw ended.reason;
    },
    [Symbol.dispose]() {
      settle();
      events.off("cancelled", onCancelled);
    },
  };
}

interface OpenCall extends CallContext, Disposable {
  /** @throws what the signal fires with, or would */
  throwIfEnded(): void;
}

/** A timer may fire before the clock has come to its time, by a little. */
const TIMER_SLACK_MS = 5;

function isOverdue(call: Call): boolean {
  return Number(call.getDeadline()) <= Date.now() + TIMER_SLACK_MS;
}

/** Whether nobody is there any more to write to. */
export function isGone(call: StreamCall): boolean {
  return call.cancelled || call.destroyed;
}

function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key)) {
      headers.append(key, typeof value === "string" ? value : value.toString("base64"));
    }
  }
  return headers;
}
