import { AsyncLocalStorage } from "node:async_hooks";
import { context, INVALID_SPAN_CONTEXT, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, ContextManager, Tracer } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { ReadableSpan, Sampler, SpanProcessor } from "@opentelemetry/sdk-trace";

/** What is traced in the test's own process. */
export interface TracedHere extends Disposable {
  /** The spans that have ended so far, in that order. */
  spans(): ReadableSpan[];
}

/** The SDK of now. Whoever has once asked OpenTelemetry for a tracer keeps it: it must go on to the next one, or to none. */
let current: Tracer | null = null;

const relay: Tracer = {
  startSpan: (...span) => current?.startSpan(...span) ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT),
  startActiveSpan: () => assertUnused(),
};

/** An SDK in this process, until it is disposed of. */
export function traceHere({
  sampler,
  processors = [],
}: { sampler?: Sampler; processors?: SpanProcessor[] } = {}): TracedHere {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({
    ...(sampler && { sampler }),
    spanProcessors: [new SimpleSpanProcessor({ exporter }), ...processors],
  });
  current = provider.getTracer("spool");
  trace.setGlobalTracerProvider({ getTracer: () => relay });
  context.setGlobalContextManager(new AsyncContexts());
  return {
    spans: () => exporter.getFinishedSpans(),
    [Symbol.dispose]() {
      current = null;
      context.disable();
    },
  };
}

class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<Args extends unknown[], Code extends (...args: Args) => ReturnType<Code>>(
    active: Context,
    code: Code,
    self?: ThisParameterType<Code>,
    ...args: Args
  ): ReturnType<Code> {
    return this.#storage.run(active, () => code.call(self, ...args));
  }

  bind<Target>(_: Context, target: Target): Target {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

function assertUnused(): never {
  throw new Error("nobody is to use this");
}
