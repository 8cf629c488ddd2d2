import type { EventEmitter } from "node:events";
import type { Metadata, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Drain } from "../call/drain.ts";
import { checkTraceparent } from "../../telemetry/trace-context.ts";
import { callCancelled, callDeadlineExceeded } from "../errors.ts";
import type { CallContext } from "../call/service.ts";
import { identityOf } from "./interceptors.ts";

/** A streaming call of grpc-js. */
export type StreamCall = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

type Call = ServerUnaryCall<Buffer, Buffer> | StreamCall;

/**
 * Creates the context of a call. Dispose it when the call has ended. The signal is created on first use: most calls end
 * without waiting for anything.
 */
export function openCall(call: Call, drain: Drain): OpenCall {
  let controller: AbortController | undefined;
  let ended: { reason: unknown } | undefined;
  const end = (reason: unknown) => {
    ended ??= { reason };
    controller?.abort(reason);
  };
  const settle = drain.onBegin(end);
  const identity = identityOf(call.metadata);
  const forget = identity?.onInvalid(end);
  // grpc-js ends a call at its deadline and reports only that the call was cancelled.
  const onCancelled = () => end(isOverdue(call) ? callDeadlineExceeded() : callCancelled());
  const events: EventEmitter = call;
  events.once("cancelled", onCancelled);
  return {
    identity,
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
      forget?.();
      events.off("cancelled", onCancelled);
    },
  };
}

interface OpenCall extends CallContext, Disposable {
  /** Throws the signal's reason if the call has ended, without creating the signal. */
  throwIfEnded(): void;
}

/** A timer may fire slightly before its time by the clock. */
const TIMER_SLACK_MS = 5;

function isOverdue(call: Call): boolean {
  return Number(call.getDeadline()) <= Date.now() + TIMER_SLACK_MS;
}

/** Whether the call can no longer be written to. */
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
