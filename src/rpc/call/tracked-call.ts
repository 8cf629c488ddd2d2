import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { codeOf } from "../errors.ts";
import type { CallContext } from "./service.ts";

/** A call whose start, span and end are recorded. */
export interface TrackedCall {
  /** The traceparent of the call's own span; undefined: the call keeps the trace of its caller. */
  traceparent?: string | null;
  /** Runs the handler of the call inside its span. */
  run?<Answer>(work: () => Answer): Answer;
  /** Records the end of the call, once. @param thrown what the handler threw, if it failed */
  end(code: Code | "ok", thrown?: unknown): void;
}

/** Records the start of a call. Each binding calls it once a call, never for the frames of a stream. */
export type CallTracker = (method: DescMethod, context: CallContext) => TrackedCall;

/** Runs the handler of a call and records how the call ended. */
export async function runTracked<Answer>(call: TrackedCall | undefined, work: () => Promise<Answer>): Promise<Answer> {
  if (call === undefined) return work();
  try {
    const answer = await (call.run === undefined ? work() : call.run(work));
    call.end("ok");
    return answer;
  } catch (error) {
    call.end(codeOf(error), error);
    throw error;
  }
}

/** Returns the context with the traceparent of the call's own span. */
export function tracedContext(call: TrackedCall | undefined, context: CallContext): CallContext {
  return call?.traceparent === undefined ? context : new TracedContext(context, call.traceparent);
}

/** Delegates to a context with another traceparent. Getters stay lazy. */
class TracedContext implements CallContext {
  readonly traceparent: string | null;
  readonly #context: CallContext;

  constructor(context: CallContext, traceparent: string | null) {
    this.#context = context;
    this.traceparent = traceparent;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get caller(): string | undefined {
    return this.#context.caller;
  }

  get identity(): CallContext["identity"] {
    return this.#context.identity;
  }

  get header(): CallContext["header"] {
    return this.#context.header;
  }

  get requestHeader(): Headers {
    return this.#context.requestHeader;
  }
}
