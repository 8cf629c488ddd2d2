import type { Task, TaskRequest } from "../domain/task.ts";

/** A task to be created, in the same commit as its request_id. */
export interface NewTask {
  taskId: string;
  namespace: string;
  request: TaskRequest;
  /** The params as JSON text, and their digest. */
  params: string;
  paramsDigest: string;
  exclusiveKey: string | null;
  /** The session under which its first attempt starts in the same commit; null: it waits to be claimed. */
  lease: string | null;
}

/** The task that a commit has made of it, as its row says. */
export function asCreated({ taskId, request, paramsDigest, lease }: NewTask, at: Date): Task {
  const { timeoutMs } = request;
  return {
    ...request,
    taskId,
    paramsDigest,
    status: lease === null ? "pending" : "running",
    createdAt: at,
    startedAt: lease === null ? null : at,
    finishedAt: null,
    deadlineAt: lease === null || timeoutMs === null ? null : new Date(at.getTime() + timeoutMs),
    attempt: lease === null ? 0 : 1,
    cancelRequestedAt: null,
    cancelReason: null,
    lease,
    lastSeq: lease === null ? 0n : 1n,
  };
}
