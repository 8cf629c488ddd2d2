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
import { messageOf } from "../domain/thrown.ts";
import { outsideAttempts } from "./attempt-context.ts";

/** The tracer of all spans. It uses only OpenTelemetry's API, which costs almost nothing without an SDK. */
const tracer = trace.getTracer("spool");

/** Starts a span, or returns one that records nothing if an SDK throws. */
export function startSpan(...span: Parameters<Tracer["startSpan"]>): Span {
  let started = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
  harmless(() => (started = tracer.startSpan(...span)));
  return started;
}

/**
 * Runs telemetry code and logs its errors to the diagnostics log: errors of an SDK or its plugins must not break the
 * work that is traced.
 */
export function harmless(record: () => void): void {
  try {
    record();
  } catch (error) {
    diag.error("tracing failed:", messageOf(error));
  }
}

/**
 * Runs work outside of any span and attempt: shared work, or work that outlives the call or attempt that started it.
 */
export function outsideSpans<Result>(work: () => Result): Result {
  return outsideAttempts(() => context.with(ROOT_CONTEXT, work));
}

/** Returns a span context as a W3C traceparent; null if it is invalid. */
export function writeTraceparent(spanContext: SpanContext | undefined): string | null {
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return null;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Version, trace id, parent id and flags. Later versions may have more parts; version 00 has none. */
const TRACEPARENT = /^\s?(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?\s?$/;

/** @returns undefined for an invalid traceparent: as W3C requires, a new trace starts */
function readTraceparent(text: string): SpanContext | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || (version === "00" && more !== undefined)) return undefined;
  const parsed = { traceId, spanId, traceFlags: Number.parseInt(flags!, 16), isRemote: true };
  return isSpanContextValid(parsed) ? parsed : undefined;
}

/**
 * Returns a valid traceparent unchanged, else null. A traceparent of a future version is stored as the current version.
 */
export function checkTraceparent(text: string | null | undefined): string | null {
  return writeTraceparent(text ? readTraceparent(text) : undefined);
}

/** Returns the context that continues a span of another process, or the root of a new trace if there is none. */
export function contextOf(traceparent: string | null): Context {
  const spanContext = traceparent === null ? undefined : readTraceparent(traceparent);
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

/** Returns a link to the cause of a span that is not its parent: a start that is long over. */
export function linksTo(traceparent: string | null): Link[] {
  const cause = traceparent === null ? undefined : readTraceparent(traceparent);
  return cause === undefined ? [] : [{ context: cause }];
}

export function isSampled({ traceFlags }: Pick<SpanContext, "traceFlags">): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** Returns the id of a sampled trace, for a log line; undefined: the trace is not exported. */
export function traceIdOf(traceparent: string | null): string | undefined {
  const isTaken = traceparent !== null && isSampled({ traceFlags: Number.parseInt(traceparent.slice(-2), 16) });
  return isTaken ? traceparent.slice(3, 35) : undefined;
}
