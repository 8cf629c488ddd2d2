import { context, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Link, Span, SpanContext } from "@opentelemetry/api";
import type { AttemptEnd } from "../domain/attempt-end.ts";
import type { Task } from "../domain/task.ts";
import { isInstance, messageOf, textsOf } from "../domain/thrown.ts";
import { contextOf, harmless, isSampled, linksTo, startSpan, writeTraceparent } from "./trace-context.ts";

/** The fields of a task that each of its spans records. */
export type TracedTask = Pick<Task, "taskId" | "kind" | "attempt" | "traceparent">;

interface AttemptSpanOptions {
  namespace?: string;
  /** The server's span, in a worker's process; null: this is the server's own span. */
  parent?: string | null;
  /** Whether another process ran the attempt before. */
  isResumed?: boolean;
}

/**
 * The span of an attempt. It is the root of a trace, because the call that started the task is long over, and it is
 * linked to that call. In a worker's process, it is a child of the server's span of the attempt. An attempt has one
 * span for any number of events. docs/telemetry.md describes it.
 */
export class AttemptSpan {
  readonly #span: Span;
  #hasException = false;

  constructor(task: TracedTask, { namespace, parent = null, isResumed = false }: AttemptSpanOptions) {
    const links = linksTo(task.traceparent);
    const start = parent === null ? unsampledStart(links) : undefined;
    this.#span = start
      ? trace.wrapSpanContext(start)
      : startSpan(`run ${task.kind}`, { kind: SpanKind.CONSUMER, links }, contextOf(parent));
    // Set only if the span is exported, which may be one span in a hundred.
    if (this.#span.isRecording()) {
      this.#span.setAttributes({
        ...taskAttributes(task, namespace),
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
      });
      if (isResumed) this.#span.setAttribute("spool.attempt.resumed", true);
    }
  }

  /** The traceparent with which another process continues the trace; null: no tracing. */
  get traceparent(): string | null {
    return writeTraceparent(this.#span.spanContext());
  }

  /** Runs code within the span: new spans are its children. */
  run<Result>(code: () => Result): Result {
    if (!isSpanContextValid(this.#span.spanContext())) return code(); // This process has no SDK.
    return context.with(trace.setSpan(ROOT_CONTEXT, this.#span), code);
  }

  /** Records what the code threw, with its stack. */
  threw(error: unknown): void {
    if (!this.#span.isRecording()) return;
    harmless(() => {
      // As texts: an SDK would read the error's fields itself, and they may be anything.
      this.#span.recordException(isInstance(error, Error) ? textsOf(error) : messageOf(error));
      this.#hasException = true;
    });
  }

  /** Ends the span. The first end counts. */
  end(end: AttemptEnd): void {
    if (!this.#span.isRecording()) return;
    recordEnd(this.#span, end, { hasException: this.#hasException });
    harmless(() => this.#span.end());
  }
}

/**
 * Records the span of a decision outside of any attempt: a cancel of a waiting task, a task of a dead process, a passed
 * deadline. If a call makes the decision, the span is a child of the call's span.
 *
 * @param because why the decision was made
 */
export function recordDecision(
  task: TracedTask,
  end: AttemptEnd,
  { namespace, because }: { namespace: string; because: string },
): void {
  const verb = end.outcome === "retrying" || end.outcome === "handed_over" ? "retry" : "end";
  const links = linksTo(task.traceparent);
  if (trace.getActiveSpan() === undefined && unsampledStart(links) !== undefined) return;
  const span = startSpan(`${verb} ${task.kind}`, { links });
  if (!span.isRecording()) return;
  span.setAttributes({ ...taskAttributes(task, namespace), "spool.decision.reason": because });
  recordEnd(span, end, { hasException: false });
  harmless(() => span.end());
}

/** Returns the span of an unsampled start. Its attempts are not sampled either: unused spans cost time. */
function unsampledStart([link]: Link[]): SpanContext | undefined {
  return link !== undefined && !isSampled(link.context) ? link.context : undefined;
}

function taskAttributes({ taskId, kind, attempt }: TracedTask, namespace: string | undefined) {
  return {
    "spool.task.id": taskId,
    "spool.task.kind": kind,
    "spool.task.attempt": attempt,
    ...(namespace === undefined ? {} : { "spool.namespace": namespace }),
    "messaging.system.name": "spool",
    "messaging.destination.name": kind,
    "messaging.message.id": taskId,
  };
}

/**
 * Records how the attempt ended. A cancel was requested and a handover is part of a deployment, so neither is an error.
 */
function recordEnd(span: Span, end: AttemptEnd, { hasException }: { hasException: boolean }): void {
  span.setAttribute("spool.task.outcome", end.outcome);
  switch (end.outcome) {
    case "succeeded":
      span.setStatus({ code: SpanStatusCode.OK });
      break;
    case "cancelled":
      span.setAttribute("spool.cancelled", true);
      break;
    case "failed":
    case "retrying": {
      const { reason, message } = end.failure;
      if (!hasException) span.recordException({ name: reason, message });
      span.setAttribute("error.type", reason);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      break;
    }
    case "lost":
      span.setAttribute("error.type", "LEASE_LOST");
      span.setStatus({ code: SpanStatusCode.ERROR, message: "the task was taken from this attempt" });
      break;
    case "handed_over":
    case "moved":
      break;
  }
}
