import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { bodyOf } from "../domain/event.ts";
import type { EventBodies, EventType, TapeEvent } from "../domain/event.ts";
import { EventSchema, ProgressSchema } from "../gen/spool/v1/event_pb.ts";
import type { Event, Progress as ProgressMessage } from "../gen/spool/v1/event_pb.ts";
import type { Progress, SpoolEvent } from "./event-types.ts";
import { fromLogLevelValue, toLogLevelValue } from "./log-level.ts";
import { readOutcome, toOutcome } from "./outcome.ts";
import { fromFoldedMessage, fromPartialMessage, toFoldedMessage, toPartialMessage } from "./partial.ts";
import { readTerminalStatus, toStatusValue } from "./status.ts";
import { fromTaskError, toTaskError } from "./task-error.ts";
import { readTime } from "./timestamp.ts";

/**
 * Returns an event as a message, for callers that read its fields. encodeEvents creates the bytes without a message.
 */
export function toEventMessage(event: TapeEvent): Event {
  return create(EventSchema, { seq: event.seq, time: timestampFromDate(event.time), body: toBodyMessage(event) });
}

type BodyInit = NonNullable<MessageInitShape<typeof EventSchema>["body"]>;

/** The message of each type of event. */
const BODIES: { readonly [Type in EventType]: (body: EventBodies[Type]) => BodyInit } = {
  started: (value) => ({ case: "started", value }),
  progress: (body) => ({ case: "progress", value: toProgressMessage(body) }),
  log: ({ level, message }) => ({ case: "log", value: { level: toLogLevelValue(level), message } }),
  partial: (body) => ({ case: "partial", value: toPartialMessage(body) }),
  cancel_requested: ({ reason, cancelled_by: cancelledBy }) => ({
    case: "cancelRequested",
    value: { reason, ...(cancelledBy !== undefined && { cancelledBy }) },
  }),
  retrying: ({ error, next_attempt_at: nextAttemptAt }) => ({
    case: "retrying",
    value: { error: toTaskError(error), nextAttemptAt: timestampFromDate(new Date(nextAttemptAt)) },
  }),
  final: (body) => ({ case: "final", value: { status: toStatusValue(body.status), outcome: toOutcome(body) } }),
  folded: (body) => ({ case: "folded", value: toFoldedMessage(body) }),
};

function toBodyMessage<Type extends EventType>(event: TapeEvent & { type: Type }): BodyInit {
  // Another replica with a later version may write types that this version does not know.
  if (!Object.hasOwn(BODIES, event.type)) return { case: undefined };
  return BODIES[event.type](bodyOf(event));
}

export function toProgressMessage({ phase, current, total, detail }: EventBodies["progress"]): ProgressMessage {
  return create(ProgressSchema, {
    phase,
    current: BigInt(current),
    total: BigInt(total),
    ...(detail && { detail }),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if a field is missing; an event of an unknown type becomes `unknown` */
export function fromEventMessage({ seq, time: recorded, body }: Event): SpoolEvent {
  const time = readTime(recorded, "time");
  switch (body.case) {
    case "started":
      return { seq, time, type: "started", kind: body.value.kind, attempt: body.value.attempt };
    case "progress":
      return { seq, time, type: "progress", ...fromProgressMessage(body.value) };
    case "log": {
      // An unknown level is no reason to lose the line.
      const level = fromLogLevelValue(body.value.level) ?? "INFO";
      return { seq, time, type: "log", level, message: body.value.message };
    }
    case "partial":
      return { seq, time, type: "partial", ...fromPartialMessage(body.value) };
    case "cancelRequested": {
      const { reason, cancelledBy } = body.value;
      return { seq, time, type: "cancel_requested", reason, ...(cancelledBy !== "" && { cancelledBy }) };
    }
    case "retrying": {
      const nextAttemptAt = readTime(body.value.nextAttemptAt, "next_attempt_at");
      return { seq, time, type: "retrying", error: fromTaskError(body.value.error), nextAttemptAt };
    }
    case "final": {
      const { status, outcome } = body.value;
      return { seq, time, type: "final", status: readTerminalStatus(status), ...readOutcome(outcome) };
    }
    case "folded":
      return { seq, time, type: "folded", ...fromFoldedMessage(body.value) };
    case undefined:
      return { seq, time, type: "unknown" };
  }
}

export function fromProgressMessage({ phase, current, total, detail }: ProgressMessage): Progress {
  return { phase, current: Number(current), total: Number(total), ...(detail && { detail }) };
}
