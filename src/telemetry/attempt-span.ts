import { context, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Link, Span, SpanContext } from "@opentelemetry/api";
import type { AttemptEnd } from "../domain/attempt-end.ts";
import type { Task } from "../domain/task.ts";
import { isInstance, messageOf, textsOf } from "../domain/thrown.ts";
import { contextOf, harmless, isSampled, linksTo, startSpan, writeTraceparent } from "./trace-context.ts";

/** What is said of a task at each of its spans. */
export type TracedTask = Pick<Task, "taskId" | "kind" | "attempt" | "traceparent">;

interface AttemptSpanOptions {
  namespace?: string;
  /** The span of the server that has given it to this process; null: this is the server's own. */
  parent?: string | null;
  /** Whether another process ran it before, and it goes on here. */
  isResumed?: boolean;
}

/**
 * The span of an attempt. It is the root of a trace, for the call that started the task is long over, and linked to
 * that call; in a worker's process it is the child of the one that its server has for the attempt. However many events
 * the attempt has, this is one span. docs/telemetry.md has what it says.
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
    // Not before it is known whether the span is exported: that may be one span in a hundred.
    if (this.#span.isRecording()) {
      this.#span.setAttributes({
        ...taskAttributes(task, namespace),
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
      });
      if (isResumed) this.#span.setAttribute("spool.attempt.resumed", true);
    }
  }

  /** What another process goes on from; null: it is not traced. */
  get traceparent(): string | null {
    return writeTraceparent(this.#span.spanContext());
  }

  /** Runs code within the span: spans that it begins are its children. */
  run<Result>(code: () => Result): Result {
    if (!isSpanContextValid(this.#span.spanContext())) return code(); // There is no SDK in this process.
    return context.with(trace.setSpan(ROOT_CONTEXT, this.#span), code);
  }

  /** What the code threw, with its stack. */
  threw(error: unknown): void {
    if (!this.#span.isRecording()) return;
    harmless(() => {
      // As texts: an SDK reads an error's fields by itself, and they may be anything.
      this.#span.recordException(isInstance(error, Error) ? textsOf(error) : messageOf(error));
      this.#hasException = true;
    });
  }

  /** It has ended. The first end counts. */
  end(end: AttemptEnd): void {
    if (!this.#span.isRecording()) return;
    sayEnd(this.#span, end, { hasException: this.#hasException });
    harmless(() => this.#span.end());
  }
}

/**
 * The span of a decision that no attempt has made itself: a cancel of a task that waits, a task taken from a process
 * that is gone, one whose deadline has passed. It belongs to the call that decides, if that is one.
 *
 * @param because why it was decided
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
  sayEnd(span, end, { hasException: false });
  harmless(() => span.end());
}

/** Returns the span of an unsampled start. Its attempts are not sampled either: spans that are not exported cost time. */
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

/** A cancel was requested, and a handover is part of a deploy: neither is an error. */
function sayEnd(span: Span, end: AttemptEnd, { hasException }: { hasException: boolean }): void {
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
