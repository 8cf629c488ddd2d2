import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { TaskView } from "../domain/task.ts";
import { TaskSchema } from "../gen/spool/v1/task_pb.ts";
import type { Task as TaskMessage } from "../gen/spool/v1/task_pb.ts";
import { fromRetryPolicyMessage, toRetryPolicyMessage } from "./retry-policy.ts";
import { brokenPromise } from "./rpc-error.ts";
import { readStatus, toStatusValue } from "./status.ts";
import { readTime, readTimeOrNull, timeFields } from "./timestamp.ts";

export function toTaskMessage(task: TaskView): TaskMessage {
  const { params, requestId, timeoutMs, retentionMs, startedBy, cancelledBy } = task;
  const { startedAt, finishedAt, runAt, deadlineAt, attemptDeadlineAt, cancelRequestedAt } = task;
  return create(TaskSchema, {
    taskId: task.taskId,
    kind: task.kind,
    status: toStatusValue(task.status),
    paramsDigest: task.paramsDigest,
    labels: { ...task.labels },
    createdAt: timestampFromDate(task.createdAt),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    handovers: task.handovers,
    retryPolicy: toRetryPolicyMessage(task.retryPolicy),
    lastSeq: task.lastSeq,
    awaitsWorker: task.awaitsWorker,
    ...(params && { params }),
    ...(requestId !== null && { requestId }),
    ...timeFields({ startedAt, finishedAt, runAt, deadlineAt, attemptDeadlineAt, cancelRequestedAt }),
    ...(timeoutMs !== null && { timeout: durationFromMs(timeoutMs) }),
    ...(retentionMs !== null && { retention: durationFromMs(retentionMs) }),
    ...(startedBy !== null && { startedBy }),
    ...(cancelledBy !== null && { cancelledBy }),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if a field is missing */
export function fromTaskMessage(message: TaskMessage | undefined): TaskView {
  if (!message) throw brokenPromise("the answer has no task");
  return {
    taskId: message.taskId,
    kind: message.kind,
    status: readStatus(message.status),
    params: message.params ?? null,
    paramsDigest: message.paramsDigest,
    labels: message.labels,
    requestId: message.requestId === "" ? null : message.requestId,
    createdAt: readTime(message.createdAt, "created_at"),
    startedAt: readTimeOrNull(message.startedAt),
    finishedAt: readTimeOrNull(message.finishedAt),
    runAt: readTimeOrNull(message.runAt),
    deadlineAt: readTimeOrNull(message.deadlineAt),
    attemptDeadlineAt: readTimeOrNull(message.attemptDeadlineAt),
    timeoutMs: message.timeout ? durationMs(message.timeout) : null,
    retentionMs: message.retention ? durationMs(message.retention) : null,
    attempt: message.attempt,
    maxAttempts: message.maxAttempts,
    handovers: message.handovers,
    retryPolicy: fromRetryPolicyMessage(message.retryPolicy),
    cancelRequestedAt: readTimeOrNull(message.cancelRequestedAt),
    startedBy: message.startedBy === "" ? null : message.startedBy,
    cancelledBy: message.cancelledBy === "" ? null : message.cancelledBy,
    awaitsWorker: message.awaitsWorker,
    lastSeq: message.lastSeq,
  };
}
