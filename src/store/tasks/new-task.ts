import type { RetryPolicy } from "../../domain/retry.ts";
import type { Task, TaskRequest } from "../../domain/task.ts";

/** A task to be created, in the same commit as its request_id. */
export interface NewTask {
  taskId: string;
  namespace: string;
  request: TaskRequest;
  /** The params as JSON text, and their digest. */
  params: string;
  paramsDigest: string;
  /** Of all that the start asks for; null: it has no request_id. */
  requestDigest: string | null;
  maxAttempts: number;
  retryPolicy: Readonly<RetryPolicy>;
  exclusiveKey: string | null;
  /** Whether it is to be looked over, by somebody who has its kind, before it can be claimed. */
  isUnvalidated: boolean;
  /** The session under which its first attempt starts in the same commit; null: it waits to be claimed. */
  lease: string | null;
}

/** The task that a commit has made of it, as its row says. */
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
    lease,
    checkpointSeq: null,
    lastSeq: isRunning ? 1n : 0n,
  };
}

/** The earlier of the attempt's own end and the task's. */
function attemptDeadline({ timeoutMs, deadlineAt }: TaskRequest, at: Date): Date | null {
  const timesOutAt = timeoutMs === null ? null : new Date(at.getTime() + timeoutMs);
  if (timesOutAt === null || deadlineAt === null) return timesOutAt ?? deadlineAt;
  return timesOutAt < deadlineAt ? timesOutAt : deadlineAt;
}
