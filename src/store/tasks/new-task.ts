import type { RetryPolicy } from "../../domain/retry.ts";
import type { Task, TaskRequest } from "../../domain/task.ts";

/** A task to create, in the same commit as its request_id. */
export interface NewTask {
  taskId: string;
  namespace: string;
  request: TaskRequest;
  /** The params as JSON text. */
  params: string;
  /** The digest of the params. */
  paramsDigest: string;
  /** The digest of all that the start asks for; null: the start has no request_id. */
  requestDigest: string | null;
  maxAttempts: number;
  retryPolicy: Readonly<RetryPolicy>;
  exclusiveKey: string | null;
  /** Whether a process with its kind must validate the task before it can be claimed. */
  isUnvalidated: boolean;
  /** The session that owns the first attempt, which starts in the same commit; null: the task waits to be claimed. */
  lease: string | null;
}

/** Returns the task as its row is after the commit. @param at the time of the commit */
export function asCreated(task: NewTask, at: Date): Task {
  const { taskId, request, paramsDigest, exclusiveKey, lease, ...retry } = task;
  const isRunning = lease !== null;
  return {
    ...request,
    taskId,
    paramsDigest,
    exclusiveKey,
    maxAttempts: retry.maxAttempts,
    retryPolicy: retry.retryPolicy,
    status: isRunning ? "running" : "pending",
    createdAt: at,
    startedAt: isRunning ? at : null,
    finishedAt: null,
    attemptDeadlineAt: isRunning ? attemptDeadline(request, at) : null,
    attempt: isRunning ? 1 : 0,
    handovers: 0,
    crashes: 0,
    cancelRequestedAt: null,
    cancelReason: null,
    cancelledBy: null,
    lease,
    checkpointSeq: null,
    lastSeq: isRunning ? 1n : 0n,
  };
}

/** Returns the earlier of the attempt's timeout and the task's deadline. */
function attemptDeadline({ timeoutMs, deadlineAt }: TaskRequest, at: Date): Date | null {
  const timesOutAt = timeoutMs === null ? null : new Date(at.getTime() + timeoutMs);
  if (timesOutAt === null || deadlineAt === null) return timesOutAt ?? deadlineAt;
  return timesOutAt < deadlineAt ? timesOutAt : deadlineAt;
}
