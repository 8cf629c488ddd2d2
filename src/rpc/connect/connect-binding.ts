import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import { SpoolError } from "../../domain/errors.ts";
import { checkTraceparent } from "../../telemetry/trace-context.ts";
import type { Drain } from "../call/drain.ts";
import { callCancelled, callDeadlineExceeded, codeOf, toRpcError } from "../errors.ts";
import type { ErrorLog } from "../errors.ts";
import { contextIn, observeCall } from "../call/observed-call.ts";
import type { CallObserver } from "../call/observed-call.ts";
import { requestBytesMax } from "../validation/request-bounds.ts";
import type { CallContext, ServerStreamingHandler, ServiceHandlers, UnaryHandler } from "../call/service.ts";

interface BindingOptions {
  /** When it begins, the signal of every open call fires with Draining, and calls that come after are refused. */
  drain: Drain;
  /** Is told of the calls. */
  observe?: CallObserver | undefined;
  log: Logger;
}

/**
 * Serves an implementation by Connect, in all of its protocols: every call that does not send both ways. Connect
 * decodes and encodes; here a call's deadline, its caller's leaving and the drain become one signal, and what is thrown
 * becomes an error with a reason.
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
    // The mapped type of ServiceHandlers is lost over a list of methods; this function's signature has held it.
    const handler = (handlers as Record<string, unknown>)[method.localName];
    if (method.methodKind === "unary") {
      router.rpc(method as DescMethodUnary, serveUnary(handler as UnaryHandler, options), bounds);
    } else if (method.methodKind === "server_streaming") {
      const stream = serveServerStreaming(handler as ServerStreamingHandler, options);
      router.rpc(method as DescMethodServerStreaming, stream, bounds);
    }
  }
}

/** Which connection a call has come by, for who hands it to the router to say. */
export const CALLER = createContextKey<string | undefined>(undefined);

/** An error in Connect's own terms. It travels as Connect's JSON, or in the trailers of gRPC-Web. */
export function toConnectError(thrown: unknown, log: ErrorLog): ConnectError {
  const { code, message, details } = toRpcError(thrown, log);
  return new ConnectError(message, code, undefined, [...details]);
}

/** The calls whose requests were decoded: what goes wrong with them later is not the request's fault. */
const decoded = new WeakSet<AbortSignal>();

/**
 * Gives the errors that Connect itself finds their reasons: a request that cannot be decoded, an answer that cannot be
 * encoded. It has no place for this; but it ends a call's signal with the error before it writes that down.
 *
 * @param context as a router's requestGate is given it
 */
export function nameErrors({ signal }: Pick<HandlerContext, "signal">, log: ErrorLog): void {
  const onAbort = () => {
    const error: unknown = signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    if (error.code === Code.Canceled || error.code === Code.Aborted) return; // Its caller has gone.
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

function serveUnary(handler: UnaryHandler, { method, drain, observe, log }: MethodOptions): UnaryHandler {
  return async (request, context) => {
    using call = openCall(context, drain);
    decoded.add(context.signal);
    const observed = observe?.(method, call);
    try {
      return await observeCall(observed, async () => {
        call.signal.throwIfAborted();
        return await handler(request, contextIn(observed, call));
      });
    } catch (error) {
      throw toConnectError(error, log);
    }
  };
}

function serveServerStreaming(
  handler: ServerStreamingHandler,
  { method, drain, observe, log }: MethodOptions,
): ServerStreamingHandler {
  return async function* (request, context) {
    using call = openCall(context, drain);
    decoded.add(context.signal);
    const observed = observe?.(method, call);
    let end: { code: Code | "ok"; thrown?: unknown } = { code: Code.Canceled }; // Who stops reading has gone.
    try {
      call.signal.throwIfAborted();
      yield* handler(request, contextIn(observed, call));
      end = { code: "ok" };
    } catch (error) {
      // To one that has gone Connect could not write, and throws that into the handler: it is not the handler's fault.
      const thrown = hasGone(call) ? call.signal.reason : error;
      end = { code: codeOf(thrown), thrown };
      throw toConnectError(thrown, log);
    } finally {
      observed?.end(end.code, end.thrown);
    }
  };
}

/** Whether the caller has cancelled the call, or its connection has ended. */
function hasGone({ signal }: CallContext): boolean {
  return signal.reason instanceof SpoolError && signal.reason.reason === "CALL_CANCELLED";
}

/** The context of a call, with reasons of ours where Connect has its own. Disposed of when nothing waits any more. */
function openCall(
  { signal, requestHeader, values }: CallContext & Partial<Pick<HandlerContext, "values">>,
  drain: Drain,
) {
  const controller = new AbortController();
  const settle = drain.onBegin((reason) => controller.abort(reason));
  const onAbort = () => controller.abort(isOverdue(signal.reason) ? callDeadlineExceeded() : callCancelled());
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  return {
    signal: controller.signal,
    requestHeader,
    caller: values?.get(CALLER),
    get traceparent() {
      return checkTraceparent(requestHeader.get("traceparent"));
    },
    [Symbol.dispose]() {
      settle();
      signal.removeEventListener("abort", onAbort);
    },
  } satisfies CallContext & Disposable;
}

function isOverdue(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}
