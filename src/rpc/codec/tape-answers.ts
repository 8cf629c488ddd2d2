import { create } from "@bufbuild/protobuf";
import { toStatusValue } from "../../codec/status.ts";
import { toTaskMessage } from "../../codec/task.ts";
import type { TaskView } from "../../domain/task.ts";
import type { TapePage } from "../../engine/api/task-engine.ts";
import {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../gen/spool/v1/task_service_pb.ts";
import type { GetEventsResponse, RunTaskResponse, StreamEventsResponse } from "../../gen/spool/v1/task_service_pb.ts";
import type { TapeFrame } from "./frames.ts";
import { tapeMessage } from "./tape-message.ts";

export function toGetEventsResponse(frame: TapeFrame): GetEventsResponse {
  const { taskId, hasMore } = frame;
  return tapeMessage(GetEventsResponseSchema, frame, { ...positionFields(frame), taskId, hasMore });
}

export function toStreamEventsResponse(frame: TapeFrame): StreamEventsResponse {
  return tapeMessage(StreamEventsResponseSchema, frame, positionFields(frame));
}

export function toRunTaskResponse(frame: TapeFrame): RunTaskResponse {
  return tapeMessage(RunTaskResponseSchema, frame, positionFields(frame));
}

/** Returns the first frame of RunTask: the task, and no event. */
export function toRunTaskStart(task: TaskView, alreadyStarted: boolean): RunTaskResponse {
  return create(RunTaskResponseSchema, {
    nextFromSeq: 1n,
    lastSeq: task.lastSeq,
    status: toStatusValue(task.status),
    task: toTaskMessage(task),
    alreadyStarted,
  });
}

function positionFields({ nextFromSeq, lastSeq, status }: TapePage) {
  return { nextFromSeq, lastSeq, status: toStatusValue(status) };
}
