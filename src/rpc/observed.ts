import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeOf } from "./errors.ts";
import type { ServiceHandlers } from "./service.ts";

/** Is told of each call that reaches its handler, when it begins; what it gives back is told how the call ended. */
export type CallObserver = (method: DescMethod) => (code: Code | "ok") => void;

type AnyHandler = (request: unknown, context: unknown) => Promise<unknown> | AsyncIterable<unknown>;

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
      return [method.localName, (request, context) => observedAnswer(handler(request, context), observe(method))];
    }
    return [
      method.localName,
      (request, context) => observedStream(handler(request, context) as AsyncIterable<unknown>, () => observe(method)),
    ];
  });
  return Object.fromEntries(wrapped) as unknown as ServiceHandlers<Service>;
}

async function observedAnswer(answer: unknown, end: ReturnType<CallObserver>): Promise<unknown> {
  try {
    const message = await answer;
    end("ok");
    return message;
  } catch (error) {
    end(codeOf(error));
    throw error;
  }
}

function observedStream(stream: AsyncIterable<unknown>, begin: () => ReturnType<CallObserver>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const messages = stream[Symbol.asyncIterator]();
      const end = begin();
      return {
        next: () => messages.next().then(onResult, onError),
        async return() {
          // Who stops reading before the end has gone.
          end(Code.Canceled);
          return (await messages.return?.()) ?? { done: true, value: undefined };
        },
      };

      function onResult(result: IteratorResult<unknown>): IteratorResult<unknown> {
        if (result.done === true) end("ok");
        return result;
      }

      function onError(error: unknown): never {
        end(codeOf(error));
        throw error;
      }
    },
  };
}
