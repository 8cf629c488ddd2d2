import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { Drain } from "./drain.ts";
import { callCancelled, callDeadlineExceeded, toRpcError } from "./errors.ts";
import type { ErrorLog } from "./errors.ts";
import type { CallContext, ServerStreamingHandler, ServiceHandlers, UnaryHandler } from "./service.ts";

interface BindingOptions {
  /** When it begins, the signal of every open call fires with Draining, and calls that come after are refused. */
  drain: Drain;
  log: Logger;
}

/**
 * Serves an implementation by Connect, in all of its protocols. Connect decodes and encodes; here a call's deadline,
 * its caller's leaving and the drain become one signal, and what is thrown becomes an error with a reason.
 */
export function addRoutes<Service extends DescService>(
  router: ConnectRouter,
  service: Service,
  handlers: ServiceHandlers<Service>,
  { drain, log }: BindingOptions,
): void {
  const implementation: Record<string, unknown> = {};
  for (const method of service.methods) {
    const options = { drain, log: log.child({ rpc: `/${service.typeName}/${method.name}` }) };
    // The mapped type of ServiceHandlers is lost over a list of methods; this function's signature has held it.
    implementation[method.localName] = serve(method, (handlers as Record<string, unknown>)[method.localName], options);
  }
  router.service(service, implementation as Partial<ServiceImpl<Service>>);
}

/** An error in Connect's own terms. It travels as Connect's JSON, or in the trailers of gRPC-Web. */
export function toConnectError(thrown: unknown, log: ErrorLog): ConnectError {
  const { code, message, details } = toRpcError(thrown, log);
  return new ConnectError(message, code, undefined, [...details]);
}

function serve(method: DescMethod, handler: unknown, options: BindingOptions) {
  switch (method.methodKind) {
    case "unary":
      return serveUnary(handler as UnaryHandler, options);
    case "server_streaming":
      return serveServerStreaming(handler as ServerStreamingHandler, options);
    default:
      throw new Error(`${method.parent.typeName}/${method.name}: this binding does not serve ${method.methodKind}`);
  }
}

function serveUnary(handler: UnaryHandler, { drain, log }: BindingOptions): UnaryHandler {
  return async (request, context) => {
    using call = openCall(context, drain);
    try {
      call.signal.throwIfAborted();
      return await handler(request, call);
    } catch (error) {
      throw toConnectError(error, log);
    }
  };
}

function serveServerStreaming(handler: ServerStreamingHandler, { drain, log }: BindingOptions): ServerStreamingHandler {
  return async function* (request, context) {
    using call = openCall(context, drain);
    try {
      call.signal.throwIfAborted();
      yield* handler(request, call);
    } catch (error) {
      throw toConnectError(error, log);
    }
  };
}

/** The context of a call, with reasons of ours where Connect has its own. Disposed of when nothing waits any more. */
function openCall({ signal, requestHeader }: Pick<HandlerContext, "signal" | "requestHeader">, drain: Drain) {
  const controller = new AbortController();
  const settle = drain.onBegin((reason) => controller.abort(reason));
  const onAbort = () => controller.abort(isOverdue(signal.reason) ? callDeadlineExceeded() : callCancelled());
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  return {
    signal: controller.signal,
    requestHeader,
    [Symbol.dispose]() {
      settle();
      signal.removeEventListener("abort", onAbort);
    },
  } satisfies CallContext & Disposable;
}

function isOverdue(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}
