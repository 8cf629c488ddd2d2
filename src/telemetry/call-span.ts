import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Context, Span, TextMapGetter } from "@opentelemetry/api";
import { harmless, startSpan, writeTraceparent } from "./trace-context.ts";

/** The codes that are the server's fault, by the RPC conventions. Callers judge the other codes themselves. */
const FAULTS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** Reads a header of a call by its name in lower case. */
export type ReadHeader = (name: string) => string | undefined;

const headerGetter: TextMapGetter<ReadHeader> = {
  keys: () => [], // Not needed: a propagator reads only its own keys.
  get: (read, name) => read(name),
};

/** The span of a call at an endpoint: a child of the caller's span if the call carries one. */
export class CallSpan {
  readonly #span: Span;
  readonly #context: Context;

  /** @param call.method as `spool.v1.TaskService/StartTask` @param call.system `grpc` or `connectrpc` */
  constructor(call: { system: string; method: string; door: string }, header: ReadHeader) {
    const parent = propagation.extract(ROOT_CONTEXT, header, headerGetter);
    this.#span = startSpan(call.method, { kind: SpanKind.SERVER }, parent);
    if (this.#span.isRecording()) {
      this.#span.setAttributes({ "rpc.system.name": call.system, "rpc.method": call.method, "spool.door": call.door });
    }
    this.#context = trace.setSpan(parent, this.#span);
  }

  get traceparent(): string | null {
    return writeTraceparent(this.#span.spanContext());
  }

  run<Result>(code: () => Result): Result {
    return context.with(this.#context, code);
  }

  /**
   * @param code the code of the answer in gRPC's spelling: OK, NOT_FOUND
   * @param thrown the error behind the answer. Its text and stack are for operators and are recorded only for faults
   */
  end(code: string, thrown?: unknown): void {
    if (!this.#span.isRecording()) return;
    if (FAULTS.has(code) && thrown instanceof Error) harmless(() => this.#span.recordException(thrown));
    this.#span.setAttribute("rpc.status_code", code);
    if (code !== "OK") this.#span.setAttribute("error.type", code);
    if (FAULTS.has(code)) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    harmless(() => this.#span.end());
  }
}
