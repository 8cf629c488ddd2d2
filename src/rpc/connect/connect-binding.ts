import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import { SpoolError } from "../../domain/errors.ts";
import { checkTraceparent } from "../../telemetry/trace-context.ts";
import type { Drain } from "../call/drain.ts";
import type { Identity } from "../call/identity.ts";
import { callCancelled, callDeadlineExceeded, codeOf, toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { tracedContext, runTracked } from "../call/tracked-call.ts";
import type { CallTracker } from "../call/tracked-call.ts";
import { requestBytesMax } from "../validation/request-bounds.ts";
import type { CallContext, ServerStreamingHandler, ServiceHandlers, UnaryHandler } from "../call/service.ts";

interface BindingOptions {
  /** When the drain begins, the signal of every open call fires with Draining, and later calls are refused. */
  drain: Drain;
  /** Records each call. */
  track?: CallTracker | undefined;
  log: Logger;
}

/**
 * Serves an implementation over all protocols of Connect, except bidirectional streams. Connect decodes and encodes.
 * This binding merges the deadline, the caller's disconnect and the drain into one signal, and converts thrown errors
 * into errors with a reason.
 */
export function addRoutes<Service extends DescService>(
  router: ConnectRouter,
  service: Service,
  handlers: ServiceHandlers<Service>,
  { log, ...rest }: BindingOptions,
): void {
  for (const method of service.methods) {
    const options = { ...rest, method, log: log.child({ rpc: `/${service.typeName}/${method.name}` }) };
    const bounds = { readMaxBytes: requestBytesMax(method) };
    // TypeScript loses the mapped type of ServiceHandlers over a list of methods. The signature above enforces it.
    const handler = (handlers as Record<string, unknown>)[method.localName];
    if (method.methodKind === "unary") {
      router.rpc(method as DescMethodUnary, serveUnary(handler as UnaryHandler, options), bounds);
    } else if (method.methodKind === "server_streaming") {
      const stream = serveServerStreaming(handler as ServerStreamingHandler, options);
      router.rpc(method as DescMethodServerStreaming, stream, bounds);
    }
  }
}

/** The connection of a call, and its authenticated caller. Set by the code that passes the call to the router. */
export const CALLER = createContextKey<string | undefined>(undefined);
export const IDENTITY = createContextKey<Identity | undefined>(undefined);

/** Converts an error to a ConnectError, which is sent as Connect's JSON or in the trailers of gRPC-Web. */
export function toConnectError(thrown: unknown, log: ErrorLog): ConnectError {
  const { code, message, details } = toRpcError(thrown, log);
  return new ConnectError(message, code, undefined, [...details]);
}

/** The calls whose requests were decoded. A later error is not caused by the request. */
const decoded = new WeakSet<AbortSignal>();

/**
 * Adds a reason to errors that Connect itself detects: a request that cannot be decoded, a response that cannot be
 * encoded. Connect has no hook for this, but it aborts the call's signal with the error before it sends the error.
 *
 * @param context the context that the router passes to requestGate
 */
export function nameErrors({ signal }: Pick<HandlerContext, "signal">, log: ErrorLog): void {
  const onAbort = () => {
    const error: unknown = signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    if (error.code === Code.Canceled || error.code === Code.Aborted) return; // The caller has disconnected.
    const named = toConnectError(decoded.has(signal) ? error : undecodable(error), log);
    const { code, rawMessage, message, details } = named;
    Object.assign(error, { code, rawMessage, message, details });
  };
  signal.addEventListener("abort", onAbort, { once: true });
}

function undecodable(error: ConnectError): SpoolError {
  if (error.code === Code.DeadlineExceeded) return callDeadlineExceeded();
  return new SpoolError("INVALID_ARGUMENT", `the request cannot be decoded: ${error.rawMessage}`, { cause: error });
}

interface MethodOptions extends BindingOptions {
  method: DescMethod;
}

function serveUnary(handler: UnaryHandler, { method, drain, track, log }: MethodOptions): UnaryHandler {
  return async (request, context) => {
    using call = openCall(context, drain);
    decoded.add(context.signal);
    const tracked = track?.(method, call);
    try {
      return await runTracked(tracked, async () => {
        call.signal.throwIfAborted();
        return await handler(request, tracedContext(tracked, call));
      });
    } catch (error) {
      throw toConnectError(error, log);
    }
  };
}

function serveServerStreaming(
  handler: ServerStreamingHandler,
  { method, drain, track, log }: MethodOptions,
): ServerStreamingHandler {
  return async function* (request, context) {
    using call = openCall(context, drain);
    decoded.add(context.signal);
    const tracked = track?.(method, call);
    let end: { code: Code | "ok"; thrown?: unknown } = { code: Code.Canceled }; // The generator returns early only if the caller has disconnected.
    try {
      call.signal.throwIfAborted();
      yield* handler(request, tracedContext(tracked, call));
      end = { code: "ok" };
    } catch (error) {
      // After a disconnect, Connect throws its write error into the handler: report the disconnect instead.
      const thrown = hasGone(call) ? call.signal.reason : error;
      end = { code: codeOf(thrown), thrown };
      throw toConnectError(thrown, log);
    } finally {
      tracked?.end(end.code, end.thrown);
    }
  };
}

/** Whether the caller has cancelled the call or its connection has closed. */
function hasGone({ signal }: CallContext): boolean {
  return signal.reason instanceof SpoolError && signal.reason.reason === "CALL_CANCELLED";
}

/** Creates the context of a call, with Spool's reasons instead of Connect's. Dispose it when the call has ended. */
function openCall(
  { signal, requestHeader, values }: CallContext & Partial<Pick<HandlerContext, "values">>,
  drain: Drain,
) {
  const controller = new AbortController();
  const settle = drain.onBegin((reason) => controller.abort(reason));
  const identity = values?.get(IDENTITY);
  const forget = identity?.onInvalid((reason) => controller.abort(reason));
  const onAbort = () => controller.abort(isOverdue(signal.reason) ? callDeadlineExceeded() : callCancelled());
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  return {
    signal: controller.signal,
    requestHeader,
    caller: values?.get(CALLER),
    identity,
    get traceparent() {
      return checkTraceparent(requestHeader.get("traceparent"));
    },
    [Symbol.dispose]() {
      settle();
      forget?.();
      signal.removeEventListener("abort", onAbort);
    },
  } satisfies CallContext & Disposable;
}

function isOverdue(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}
