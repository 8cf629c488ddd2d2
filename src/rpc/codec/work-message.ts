import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { APPEND_WINDOW_BYTES, APPEND_WINDOW_EVENTS } from "../../domain/limits.ts";
import type { MessageToWorker } from "../../engine/api/worker-protocol.ts";
import { StopReason, WorkResponseSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { WorkResponse } from "../../gen/spool/v1/worker_service_pb.ts";

const STOP_REASONS = { cancel: StopReason.CANCEL, deadline: StopReason.DEADLINE } as const;

/** Returns the message to a worker for a notice of the engine. */
export function toWorkResponse(notice: MessageToWorker): WorkResponse {
  return create(WorkResponseSchema, { message: toMessage(notice) });
}

type Message = NonNullable<MessageInitShape<typeof WorkResponseSchema>["message"]>;

function toMessage(notice: MessageToWorker): Message {
  switch (notice.type) {
    case "welcome":
      return { case: "welcome", value: welcomeFields(notice) };
    case "assign":
      return { case: "assign", value: assignFields(notice) };
    case "appended":
      return { case: "appended", value: notice };
    case "finished":
      return { case: "finished", value: notice };
    case "stop":
      return {
        case: "stop",
        value: { ...refOf(notice), reason: STOP_REASONS[notice.because], grace: durationFromMs(notice.graceMs) },
      };
    case "lease_lost":
      return { case: "leaseLost", value: refOf(notice) };
    case "refused": {
      const { reason, message } = notice.error;
      return { case: "refused", value: { ...refOf(notice), reason, message, appended: notice.appended } };
    }
    case "check":
      return { case: "check", value: { taskId: notice.taskId, kind: notice.kind, params: notice.params } };
    case "heartbeat":
      return { case: "heartbeat", value: {} };
    case "drain":
      return { case: "drain", value: {} };
    case "drained":
      return { case: "drained", value: {} };
  }
}

function welcomeFields({ heartbeatMs, leaseMs, held, ...welcome }: MessageToWorker & { type: "welcome" }) {
  const { sessionId, resumeToken, resumed } = welcome;
  return {
    sessionId,
    resumeToken,
    resumed,
    held: [...held],
    heartbeatInterval: durationFromMs(Math.round(heartbeatMs)),
    lease: durationFromMs(leaseMs),
    windowEvents: APPEND_WINDOW_EVENTS,
    windowBytes: APPEND_WINDOW_BYTES,
  };
}

function assignFields({ task, checkpoint, traceparent }: MessageToWorker & { type: "assign" }) {
  const { attemptDeadlineAt } = task;
  return {
    ...refOf(task),
    kind: task.kind,
    params: task.params ?? {},
    labels: { ...task.labels },
    traceparent: traceparent ?? "",
    startTraceparent: task.traceparent ?? "",
    ...(checkpoint && { checkpoint }),
    ...(attemptDeadlineAt && { attemptDeadlineAt: timestampFromDate(attemptDeadlineAt) }),
  };
}

/** Returns the fields that identify an attempt. */
function refOf({ taskId, attempt }: { taskId: string; attempt: number }) {
  return { taskId, attempt };
}
