import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { codeOf } from "../errors.ts";
import type { CallContext } from "./service.ts";

/** A call that somebody watches. */
export interface ObservedCall {
  /** The trace that it belongs to from here on; left out: that of its caller. */
  traceparent?: string | null;
  /** Does what the call asks for. */
  run?<Answer>(work: () => Answer): Answer;
  /** Told once. @param thrown what the call has ended by, where that was not well */
  end(code: Code | "ok", thrown?: unknown): void;
}

/** Is told of each call when it begins. Each binding has its place for it, so that the frames of a stream cost nothing. */
export type CallObserver = (method: DescMethod, context: CallContext) => ObservedCall;

/** Does what a call asks for, and tells how it ended. */
export async function observeCall<Answer>(
  call: ObservedCall | undefined,
  work: () => Promise<Answer>,
): Promise<Answer> {
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

/** The context, in the trace of the call's own span. */
export function contextIn(call: ObservedCall | undefined, context: CallContext): CallContext {
  return call?.traceparent === undefined ? context : new TracedContext(context, call.traceparent);
}

/** What a context gives only to those who ask for it, they still ask for. */
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

  get requestHeader(): Headers {
    return this.#context.requestHeader;
  }
}
