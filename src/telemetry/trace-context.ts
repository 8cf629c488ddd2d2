import {
  context,
  diag,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import type { Context, Link, Span, SpanContext, Tracer } from "@opentelemetry/api";
import { parseTraceParent } from "@opentelemetry/core";
import { messageOf } from "../domain/thrown.ts";
import { outsideAttempts } from "./attempt-context.ts";

/** Whose spans these are. Everything goes through OpenTelemetry's API: without an SDK it costs next to nothing. */
const tracer = trace.getTracer("spool");

/** A span, or one that says nothing where an SDK throws. */
export function startSpan(...span: Parameters<Tracer["startSpan"]>): Span {
  let started = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
  harmless(() => (started = tracer.startSpan(...span)));
  return started;
}

/** Tells of something. What an SDK, or what is added to it, throws is not to break that: its own log has it. */
export function harmless(tell: () => void): void {
  try {
    tell();
  } catch (error) {
    diag.error("what was to be traced is not:", messageOf(error));
  }
}

/** Does what goes on after the call or attempt that it is begun in, or is for others too: within no span, and no attempt. */
export function outsideSpans<Result>(work: () => Result): Result {
  return outsideAttempts(() => context.with(ROOT_CONTEXT, work));
}

/** A place in a trace as W3C's `traceparent` writes it; null where there is none. */
export function writeTraceparent(spanContext: SpanContext | undefined): string | null {
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return null;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** @returns undefined for what is not one, as W3C asks: the trace then begins anew */
function readTraceparent(text: string): SpanContext | undefined {
  const parsed = parseTraceParent(text);
  return parsed !== null && isSpanContextValid(parsed) ? { ...parsed, isRemote: true } : undefined;
}

/** The same text where it is a `traceparent` to be kept, else null. A version to come is kept as the one of now. */
export function checkTraceparent(text: string | null | undefined): string | null {
  return writeTraceparent(text ? readTraceparent(text) : undefined);
}

/** Where a span goes on that another process has begun; the root of a new trace where there is none. */
export function contextOf(traceparent: string | null): Context {
  const spanContext = traceparent === null ? undefined : readTraceparent(traceparent);
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

/** A link to what has caused a span though it is not its parent: a start, which is long over. */
export function linksTo(traceparent: string | null): Link[] {
  const cause = traceparent === null ? undefined : readTraceparent(traceparent);
  return cause === undefined ? [] : [{ context: cause }];
}

export function isSampled({ traceFlags }: Pick<SpanContext, "traceFlags">): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** The id of a trace that is taken, for a line of the log; undefined: nobody would find it. */
export function traceIdOf(traceparent: string | null): string | undefined {
  const isTaken = traceparent !== null && isSampled({ traceFlags: Number.parseInt(traceparent.slice(-2), 16) });
  return isTaken ? traceparent.slice(3, 35) : undefined;
}
