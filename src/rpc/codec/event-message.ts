import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { bodyOf } from "../../domain/event.ts";
import type { EventBodies, EventType, TapeEvent, TaskFailure } from "../../domain/event.ts";
import { EventSchema, LogLevel, ProgressSchema } from "../../gen/spool/v1/event_pb.ts";
import type { Event, Progress } from "../../gen/spool/v1/event_pb.ts";
import { TaskErrorSchema } from "../../gen/spool/v1/task_pb.ts";
import type { TaskError } from "../../gen/spool/v1/task_pb.ts";
import { toStatusValue } from "./status.ts";

/** An event as a message, for who reads its fields. Its bytes are made without one, by encodeEvents. */
export function toEventMessage(event: TapeEvent): Event {
  return create(EventSchema, { seq: event.seq, time: timestampFromDate(event.time), body: toBodyMessage(event) });
}

/** How an end reads on the wire, in `final` as in GetResult. */
export function toOutcome({ status, result, error }: EventBodies["final"]) {
  if (status === "succeeded") return { case: "result", value: result ?? {} } as const;
  if (error === undefined) return { case: undefined };
  return { case: "error", value: toTaskError(error) } as const;
}

type BodyInit = NonNullable<MessageInitShape<typeof EventSchema>["body"]>;

/** How each type of event reads on the wire. */
const BODIES: { readonly [Type in EventType]: (body: EventBodies[Type]) => BodyInit } = {
  started: (value) => ({ case: "started", value }),
  progress: (body) => ({ case: "progress", value: toProgressMessage(body) }),
  log: ({ level, message }) => ({ case: "log", value: { level: LogLevel[level], message } }),
  partial: (value) => ({ case: "partial", value }),
  cancel_requested: (value) => ({ case: "cancelRequested", value }),
  retrying: ({ error, next_attempt_at: nextAttemptAt }) => ({
    case: "retrying",
    value: { error: toTaskError(error), nextAttemptAt: toTimestamp(nextAttemptAt) },
  }),
  final: (body) => ({ case: "final", value: { status: toStatusValue(body.status), outcome: toOutcome(body) } }),
};

function toBodyMessage<Type extends EventType>(event: TapeEvent & { type: Type }): BodyInit {
  // A later version, on another replica of the same database, may write types that this one does not know.
  if (!Object.hasOwn(BODIES, event.type)) return { case: undefined };
  return BODIES[event.type](bodyOf(event));
}

export function toProgressMessage({ phase, current, total, detail }: EventBodies["progress"]): Progress {
  return create(ProgressSchema, {
    phase,
    current: BigInt(current),
    total: BigInt(total),
    ...(detail && { detail }),
  });
}

function toTaskError({ reason, message, details }: TaskFailure): TaskError {
  return create(TaskErrorSchema, { reason, message, ...(details && { details }) });
}

function toTimestamp(text: string): Timestamp {
  return timestampFromDate(new Date(text));
}
