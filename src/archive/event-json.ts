import { fromJson } from "@bufbuild/protobuf";
import { fromEventMessage, toEventMessage } from "../codec/event.ts";
import type { SpoolEvent } from "../codec/event-types.ts";
import { newEvent } from "../domain/event.ts";
import type { NewEvent, TapeEvent, TaskFailure } from "../domain/event.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Series } from "../domain/series.ts";
import { EventSchema } from "../gen/spool/v1/event_pb.ts";

/**
 * Returns an event as ProtoJSON, as protobuf-es does at several times the cost. `test/archive/event-json.test.ts` checks
 * that both agree.
 *
 * @throws Error for an event of a type that this program does not know
 */
export function toEventJson(event: SpoolEvent): JsonObject {
  return { seq: String(event.seq), time: timeJson(event.time), ...bodyJson(event) };
}

/** Reads an event from ProtoJSON. @throws Error that names the field that is wrong */
export function fromEventJson(json: JsonValue): SpoolEvent {
  return fromEventMessage(fromJson(EventSchema, json));
}

/** Returns an event as a database stores it. @throws Error for an event of an unknown type */
export function toTapeEvent(event: SpoolEvent): TapeEvent {
  return { seq: event.seq, time: event.time, ...toNewEvent(event) };
}

/** Returns an event of a database as a client returns it. */
export function fromTapeEvent(event: TapeEvent): SpoolEvent {
  return fromEventMessage(toEventMessage(event));
}

/** In ProtoJSON, a field with the default of its type is left out. */
function bodyJson(event: SpoolEvent): JsonObject {
  switch (event.type) {
    case "started":
      return { started: { ...text("kind", event.kind), ...(event.attempt !== 0 && { attempt: event.attempt }) } };
    case "progress":
      return {
        progress: {
          ...text("phase", event.phase),
          ...count("current", event.current),
          ...count("total", event.total),
          ...(event.detail && { detail: event.detail }),
        },
      };
    case "log":
      return { log: { level: `LOG_LEVEL_${event.level}`, ...text("message", event.message) } };
    case "partial":
      return {
        partial: {
          ...text("kind", event.kind),
          payload: event.payload,
          ...(event.series && { series: seriesJson(event.series) }),
        },
      };
    case "cancel_requested":
      return { cancelRequested: { ...text("reason", event.reason), ...text("cancelledBy", event.cancelledBy ?? "") } };
    case "retrying":
      return { retrying: { error: errorJson(event.error), nextAttemptAt: timeJson(event.nextAttemptAt) } };
    case "final":
      return {
        final: {
          status: `TASK_STATUS_${event.status.toUpperCase()}`,
          ...(event.result && { result: event.result }),
          ...(event.error && { error: errorJson(event.error) }),
        },
      };
    case "folded": // Only in the folded view, which an archive never holds.
    case "unknown":
      throw unknownType(event.seq);
  }
}

function toNewEvent(event: SpoolEvent): NewEvent {
  switch (event.type) {
    case "started":
      return newEvent("started", { kind: event.kind, attempt: event.attempt });
    case "progress": {
      const { phase, current, total, detail } = event;
      return newEvent("progress", { phase, current, total, ...(detail && { detail }) });
    }
    case "log":
      return newEvent("log", { level: event.level, message: event.message });
    case "partial": {
      const { kind, payload, series } = event;
      return newEvent("partial", { kind, payload, ...(series && { series }) });
    }
    case "cancel_requested": {
      const { reason, cancelledBy } = event;
      return newEvent("cancel_requested", { reason, ...(cancelledBy && { cancelled_by: cancelledBy }) });
    }
    case "retrying":
      return newEvent("retrying", { error: event.error, next_attempt_at: event.nextAttemptAt.toISOString() });
    case "final": {
      const { status, result, error } = event;
      return newEvent("final", { status, ...(result && { result }), ...(error && { error }) });
    }
    case "folded": // Only in the folded view, which an archive never holds.
    case "unknown":
      throw unknownType(event.seq);
  }
}

function unknownType(seq: bigint): Error {
  return new Error(`event ${seq} has a type that this version of spool does not know: use a newer version`);
}

function errorJson({ reason, message, details }: TaskFailure): JsonObject {
  return { ...text("reason", reason), ...text("message", message), ...(details && { details }) };
}

function text(name: string, value: string): JsonObject {
  return value === "" ? {} : { [name]: value };
}

function seriesJson({ name, mode, field }: Series): JsonObject {
  return { ...text("name", name), mode: `SERIES_MODE_${mode.toUpperCase()}`, ...text("field", field ?? "") };
}

/** An int64 is a text. */
function count(name: string, value: number): JsonObject {
  return value === 0 ? {} : { [name]: String(value) };
}

/** The last formatted time. Events of one commit have the same time. */
let lastTime = { ms: NaN, json: "" };

function timeJson(time: Date): string {
  const ms = time.getTime();
  if (ms !== lastTime.ms) lastTime = { ms, json: time.toISOString().replace(".000Z", "Z") };
  return lastTime.json;
}
