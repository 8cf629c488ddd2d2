import type { Logger } from "pino";
import type { AttemptEnd } from "../../domain/attempt-end.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Task } from "../../domain/task.ts";
import { AttemptSpan, recordDecision } from "../../telemetry/attempt-span.ts";
import { traceIdOf } from "../../telemetry/trace-context.ts";
import type { EngineObserver } from "../api/engine-observer.ts";

/** The destinations of the engine's reports about tasks. */
export interface Reporting {
  namespace: string;
  observer: EngineObserver;
  log: Logger;
}

/** Reports an attempt outside its tape: a span, log lines and metrics. */
export class AttemptReport {
  readonly span: AttemptSpan;
  readonly #task: Task;
  readonly #to: Reporting;
  readonly #isResumed: boolean;
  readonly #beganAt = performance.now();

  /**
   * @param at the start of the attempt, by the database's clock
   * @param isResumed whether the attempt continues here after another process
   */
  constructor(task: Task, { at, isResumed, ...to }: Reporting & { at: Date; isResumed: boolean }) {
    this.span = new AttemptSpan(task, { namespace: to.namespace, isResumed });
    this.#task = task;
    this.#to = to;
    this.#isResumed = isResumed;
    if (isResumed) return;
    const dueAt = Math.max(task.createdAt.getTime(), task.runAt?.getTime() ?? 0);
    to.observer.attemptBegan(task.kind, Math.max(0, at.getTime() - dueAt));
    to.log.info(this.logFields, "attempt: started");
  }

  /** @param task the task after the end, if known */
  end(end: AttemptEnd, task: Task | null): void {
    const { observer, log } = this.#to;
    const durationMs = performance.now() - this.#beganAt;
    this.span.end(end);
    observer.attemptEnded(this.#task.kind, end.outcome, durationMs);
    if (task !== null) reportEnd(task, observer);
    const reason = "failure" in end ? end.failure.reason : undefined;
    const line = Object.assign(this.logFields, { outcome: end.outcome, duration_ms: Math.round(durationMs), reason });
    log.info(line, "attempt: ended");
  }

  /** The common fields of the attempt's log lines, as a new object. */
  get logFields(): object {
    const line = logFieldsOf(this.#task, this.span.traceparent);
    return this.#isResumed ? { ...line, resumed: true } : line;
  }
}

/** Reports that a task was ended or requeued outside an attempt. */
export function reportDecision(task: Task, end: AttemptEnd, { because, ...to }: Reporting & { because: string }): void {
  recordDecision(task, end, { namespace: to.namespace, because });
  reportEnd(task, to.observer);
  const reason = "failure" in end ? end.failure.reason : undefined;
  const line = Object.assign(logFieldsOf(task, null), { outcome: end.outcome, because, reason });
  to.log.info(line, "task: ended or requeued outside an attempt");
}

/** Reports the end of a task to the observer, if the task has ended. */
function reportEnd({ kind, status, createdAt, finishedAt, cancelRequestedAt }: Task, observer: EngineObserver): void {
  if (!isTerminal(status) || finishedAt === null) return;
  const endedAt = finishedAt.getTime();
  const cancelMs = status === "cancelled" && cancelRequestedAt !== null ? endedAt - cancelRequestedAt.getTime() : null;
  observer.taskEnded(kind, status, Math.max(0, endedAt - createdAt.getTime()), cancelMs);
}

/**
 * Returns the fields of every log line about an attempt.
 *
 * @param traceparent the traceparent of the attempt's span; null: there is no span, and the line has the start's trace
 */
export function logFieldsOf(task: Task, traceparent: string | null) {
  const { taskId, kind, attempt } = task;
  // The logger leaves an undefined trace_id out.
  return { task_id: taskId, kind, attempt, trace_id: traceIdOf(traceparent ?? task.traceparent) };
}
