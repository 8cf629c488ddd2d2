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

/** The outcome of a task that has ended. */
export interface TaskResult {
  taskId: string;
  status: TerminalStatus;
  /** null on a task that ended before it ever ran. */
  startedAt: Date | null;
  finishedAt: Date;
  /** Of a task that succeeded. */
  result?: JsonObject;
  /** Of a task that failed or was cancelled. */
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

/** @throws SpoolRpcError (DATA_LOSS) for what is no whole result */
export function fromGetResultResponse(message: GetResultResponse): TaskResult {
  return {
    taskId: message.taskId,
    status: readTerminalStatus(message.status),
    startedAt: readTimeOrNull(message.startedAt),
    finishedAt: readTime(message.finishedAt, "finished_at"),
    ...readOutcome(message.outcome),
  };
}
