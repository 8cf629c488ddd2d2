import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { TaskFailure } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { TerminalStatus } from "../domain/task.ts";
import { GetResultResponseSchema } from "../gen/spool/v1/task_service_pb.ts";
import type { GetResultResponse } from "../gen/spool/v1/task_service_pb.ts";
import { readOutcome, toOutcome } from "./outcome.ts";
import { readTerminalStatus, toStatusValue } from "./status.ts";
import { readTime, readTimeOrNull, timeFields } from "./timestamp.ts";

/** The outcome of a finished task. */
export interface TaskResult {
  taskId: string;
  status: TerminalStatus;
  /** null if the task ended before its first attempt. */
  startedAt: Date | null;
  finishedAt: Date;
  /** Set if the task succeeded. */
  result?: JsonObject;
  /** Set if the task failed or was cancelled. */
  error?: TaskFailure;
}

export function toGetResultResponse({ taskId, status, startedAt, finishedAt, ...end }: TaskResult): GetResultResponse {
  return create(GetResultResponseSchema, {
    taskId,
    status: toStatusValue(status),
    finishedAt: timestampFromDate(finishedAt),
    outcome: toOutcome({ status, ...end }),
    ...timeFields({ startedAt }),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if a field is missing */
export function fromGetResultResponse(message: GetResultResponse): TaskResult {
  return {
    taskId: message.taskId,
    status: readTerminalStatus(message.status),
    startedAt: readTimeOrNull(message.startedAt),
    finishedAt: readTime(message.finishedAt, "finished_at"),
    ...readOutcome(message.outcome),
  };
}
