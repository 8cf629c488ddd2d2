import type { EventPage, Session, SpoolEvent, Task, TaskResult } from "../../client/client.ts";

// What `--json` prints: the names of the proto, times in ISO 8601, statuses in lower case.

export function taskJson(task: Task) {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = task.retryPolicy;
  return {
    task_id: task.taskId,
    kind: task.kind,
    status: task.status,
    ...(task.params && { params: task.params }),
    params_digest: task.paramsDigest,
    labels: task.labels,
    request_id: task.requestId,
    created_at: task.createdAt,
    started_at: task.startedAt,
    finished_at: task.finishedAt,
    run_at: task.runAt,
    deadline_at: task.deadlineAt,
    attempt_deadline_at: task.attemptDeadlineAt,
    timeout_ms: task.timeoutMs,
    attempt: task.attempt,
    max_attempts: task.maxAttempts,
    handovers: task.handovers,
    retry_policy: {
      initial_backoff_ms: initialBackoffMs,
      max_backoff_ms: maxBackoffMs,
      backoff_multiplier: backoffMultiplier,
      jitter,
    },
    cancel_requested_at: task.cancelRequestedAt,
    awaits_worker: task.awaitsWorker,
    last_seq: task.lastSeq,
  };
}

export function sessionJson(session: Session) {
  return {
    session_id: session.sessionId,
    host: session.host,
    pid: session.pid,
    kinds: session.kinds,
    capacity: session.capacity,
    running: session.running,
    started_at: session.startedAt,
    seen_at: session.seenAt,
    expires_at: session.expiresAt,
    is_worker: session.isWorker,
  };
}

/** An event of a type that is not known here has no more than its place. */
export function eventJson(taskId: string, event: SpoolEvent) {
  const { seq, time, type, ...body } = event;
  if ("nextAttemptAt" in body) {
    return { task_id: taskId, seq, time, type, error: body.error, next_attempt_at: body.nextAttemptAt };
  }
  return { task_id: taskId, seq, time, type, ...body };
}

export function pageJson({ taskId, status, events, nextFromSeq, hasMore, lastSeq }: EventPage) {
  return {
    task_id: taskId,
    status,
    events: events.map((event) => eventJson(taskId, event)),
    next_from_seq: nextFromSeq,
    has_more: hasMore,
    last_seq: lastSeq,
  };
}

export function resultJson({ taskId, status, startedAt, finishedAt, result, error }: TaskResult) {
  return {
    task_id: taskId,
    status,
    started_at: startedAt,
    finished_at: finishedAt,
    ...(result && { result }),
    ...(error && { error }),
  };
}
