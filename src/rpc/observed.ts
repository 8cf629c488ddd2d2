import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeOf } from "./errors.ts";
import type { CallContext, ServiceHandlers } from "./service.ts";

/** A call that somebody watches. */
export interface ObservedCall {
  /** The trace that it belongs to from here on; left out: that of its caller. */
  traceparent?: string | null;
  /** Calls the handler of a unary call. */
  run?<Result>(handler: () => Result): Result;
  /** @param thrown what the handler threw, where the call has not ended well */
  end(code: Code | "ok", thrown?: unknown): void;
}

/** Is told of each call that reaches its handler, when it begins. */
export type CallObserver = (method: DescMethod, context: CallContext) => ObservedCall;

type AnyHandler = (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;

/** The same implementation, with an observer, if there is one. A stream costs one more promise a frame by it, and nothing else. */
export function observed<Service extends DescService>(
  service: Service,
  handlers: ServiceHandlers<Service>,
  observe: CallObserver | undefined,
): ServiceHandlers<Service> {
  if (observe === undefined) return handlers;
  const wrapped = service.methods.map((method): [string, AnyHandler] => {
    const handler = (handlers as Record<string, unknown>)[method.localName] as AnyHandler;
    if (method.methodKind === "unary") {
      return [
        method.localName,
        (request, context) => observedAnswer(handler, request, context, observe(method, context)),
      ];
    }
    return [
      method.localName,
      (request, context) => observedStream(handler, request, context, () => observe(method, context)),
    ];
  });
  return Object.fromEntries(wrapped) as unknown as ServiceHandlers<Service>;
}

async function observedAnswer(
  handler: AnyHandler,
  request: unknown,
  context: CallContext,
  call: ObservedCall,
): Promise<unknown> {
  try {
    const handle = () => handler(request, contextIn(call, context));
    const message = await (call.run === undefined ? handle() : call.run(handle));
    call.end("ok");
    return message;
  } catch (error) {
    call.end(codeOf(error), error);
    throw error;
  }
}

function observedStream(
  handler: AnyHandler,
  request: unknown,
  context: CallContext,
  begin: () => ObservedCall,
): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const call = begin();
      const stream = handler(request, contextIn(call, context)) as AsyncIterable<unknown>;
      const messages = stream[Symbol.asyncIterator]();
      return {
        next: () => messages.next().then(onResult, onError),
        async return() {
          // Who stops reading before the end has gone.
          call.end(Code.Canceled);
          return (await messages.return?.()) ?? { done: true, value: undefined };
        },
      };

      function onResult(result: IteratorResult<unknown>): IteratorResult<unknown> {
        if (result.done === true) call.end("ok");
        return result;
      }

      function onError(error: unknown): never {
        call.end(codeOf(error), error);
        throw error;
      }
    },
  };
}

/** The context, in the trace of the call's own span. What it gives only to those who ask is still asked for by them. */
function contextIn({ traceparent }: ObservedCall, context: CallContext): CallContext {
  if (traceparent === undefined) return context;
  return Object.create(context, { traceparent: { value: traceparent } }) as CallContext;
}
