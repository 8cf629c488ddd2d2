import { InvalidArgument } from "./errors.ts";
import { LOG_LEVELS } from "./event.ts";
import type { EventBodies, LogLevel } from "./event.ts";
import { copyJson } from "./json-copy.ts";
import { measureJson, NotJson } from "./json-size.ts";
import type { JsonObject } from "./json.ts";
import {
  ERROR_MESSAGE_CHARS_MAX,
  ERROR_REASON_CHARS_MAX,
  EVENT_BYTES_MAX,
  JSON_DEPTH_MAX,
  PARTIAL_KIND_CHARS_MAX,
  PHASE_CHARS_MAX,
  RESULT_BYTES_MAX,
  RESULT_VALUES_MAX,
} from "./limits.ts";
import { isInstance } from "./thrown.ts";

// What the code of a task may put on its tape, wherever it runs. Every function gives the body of an event, and throws
// InvalidArgument with the field and its bound for a value that an endpoint cannot send exactly, or that is too large.

export type EmittedType = "progress" | "log" | "partial";

export function progressBody(
  phase: string,
  current: number,
  total: number,
  detail: JsonObject | undefined,
): EventBodies["progress"] {
  checkName(phase, "progress.phase", PHASE_CHARS_MAX);
  checkCount(current, "progress.current");
  checkCount(total, "progress.total");
  const body = { phase, current, total };
  return checked(detail === undefined ? body : { ...body, detail: asObject(detail, "progress.detail") }, "progress");
}

export function logBody(level: LogLevel | Lowercase<LogLevel>, message: string): EventBodies["log"] {
  const known = LOG_LEVELS.find((name) => name === level || name.toLowerCase() === level);
  if (known === undefined) throw invalid("log.level", `must be one of ${LOG_LEVELS.join(", ")}, or that in lower case`);
  if (typeof message !== "string") throw invalid("log.message", "must be a string");
  return checked({ level: known, message }, "log");
}

export function partialBody(kind: string, payload: JsonObject): EventBodies["partial"] {
  checkName(kind, "partial.kind", PARTIAL_KIND_CHARS_MAX);
  return checked({ kind, payload: asObject(payload, "partial.payload") }, "partial");
}

/** A copy of what code has returned: what its objects say or do afterwards changes nothing. */
export function checkResult(result: unknown): JsonObject {
  return copied(result, "result", RESULT_BYTES_MAX);
}

/** A copy of the details of an error. */
export function checkDetails(details: unknown): JsonObject {
  return copied(details, "details", EVENT_BYTES_MAX);
}

const REASON = new RegExp(`^[A-Z][A-Z0-9_]{0,${ERROR_REASON_CHARS_MAX - 1}}$`);

/** Whether a reason is UPPER_SNAKE_CASE, of at most 63 characters. */
export function isReason(reason: unknown): reason is string {
  return typeof reason === "string" && REASON.test(reason);
}

/** As much of an error's message as a tape takes. */
export function cutMessage(message: string): string {
  return message.slice(0, ERROR_MESSAGE_CHARS_MAX).toWellFormed();
}

function checked<Body extends object>(body: Body, field: string): Body {
  checkJson(body, field, EVENT_BYTES_MAX);
  return body;
}

/** Refuses a value that an endpoint cannot send exactly, or that is too large. The error names its place. */
function checkJson(value: unknown, field: string, bytesMax: number): void {
  const object = asObject(value, field);
  const bytes = refusingNotJson(() => measureJson(object, JSON_DEPTH_MAX, field, RESULT_VALUES_MAX));
  checkSize(object, { bytes, bytesMax, field });
}

/** A copy of a value, of which the same is refused. */
function copied(value: unknown, field: string, bytesMax: number): JsonObject {
  const object = asObject(value, field);
  const copied = refusingNotJson(() => {
    try {
      return copyJson(object, { depthMax: JSON_DEPTH_MAX, bytesMax, valuesMax: RESULT_VALUES_MAX });
    } catch (error) {
      throw isInstance(error, NotJson) ? error.within(field) : error;
    }
  });
  const copy = copied === null ? {} : (copied.copy as JsonObject);
  checkSize(copy, { bytes: copied?.bytes ?? Infinity, bytesMax, field });
  return copy;
}

function refusingNotJson<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (isInstance(error, NotJson)) throw invalid(error.path, error.problem);
    throw error;
  }
}

function checkSize(value: JsonObject, { bytes, bytesMax, field }: { bytes: number; bytesMax: number; field: string }) {
  // The text is at most six times as long (a control character), so it is only measured where it may be over.
  const isOver = bytes > bytesMax || (bytes * 6 > bytesMax && Buffer.byteLength(JSON.stringify(value)) > bytesMax);
  if (isOver) throw invalid(field, `must be at most ${bytesMax} bytes as JSON and as protobuf`);
}

function asObject(value: unknown, field: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalid(field, "must be a JSON object");
}

function checkName(name: unknown, field: string, charsMax: number): void {
  if (typeof name !== "string" || name.length < 1 || name.length > charsMax) {
    throw invalid(field, `must be 1 to ${charsMax} characters`);
  }
}

function checkCount(count: number, field: string): void {
  if (!Number.isSafeInteger(count) || count < 0) throw invalid(field, "must be an integer from 0 to 2^53 - 1");
}

function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
