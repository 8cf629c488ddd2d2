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
  SERIES_FIELD_CHARS_MAX,
  SERIES_NAME_CHARS_MAX,
} from "./limits.ts";
import { SERIES_MODES } from "./series.ts";
import type { Series, SeriesOptions } from "./series.ts";
import { isInstance } from "./thrown.ts";

// Validates what the code of a task may put on its tape, in a server or a worker. Each function returns the body of an
// event. It throws InvalidArgument, with the field and its bound, for a value that is too large or that an endpoint
// cannot send exactly.

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
  if (known === undefined)
    throw invalid("log.level", `must be one of ${LOG_LEVELS.join(", ")}, in upper or lower case`);
  if (typeof message !== "string") throw invalid("log.message", "must be a string");
  return checked({ level: known, message }, "log");
}

export function partialBody(kind: string, payload: JsonObject, series?: SeriesOptions): EventBodies["partial"] {
  checkName(kind, "partial.kind", PARTIAL_KIND_CHARS_MAX);
  const body = { kind, payload: asObject(payload, "partial.payload") };
  if (series === undefined) return checked(body, "partial");
  return checked({ ...body, series: seriesOf(series, body.payload) }, "partial");
}

/** The field of the payload that holds the text of a series, if the series names none. */
const TEXT_FIELD = "text";

function seriesOf(options: SeriesOptions, payload: JsonObject): Series {
  const { name, mode, field } = asObject(options, "partial.series") as Partial<SeriesOptions>;
  checkName(name, "partial.series.name", SERIES_NAME_CHARS_MAX);
  if (!SERIES_MODES.some((known) => known === mode)) {
    throw invalid("partial.series.mode", `must be one of ${SERIES_MODES.join(", ")}`);
  }
  if (mode !== "append") {
    if (field === undefined || field === "") return { name, mode: mode! };
    throw invalid("partial.series.field", "must be empty, unless the mode is append");
  }
  const textField = field || TEXT_FIELD;
  checkName(textField, "partial.series.field", SERIES_FIELD_CHARS_MAX);
  if (!Object.hasOwn(payload, textField) || typeof payload[textField] !== "string") {
    throw invalid(`partial.payload.${textField}`, "must be a string: the text that continues the series");
  }
  return { name, mode, field: textField };
}

/** Validates and copies what the code returned: later changes to its objects have no effect. */
export function checkResult(result: unknown): JsonObject {
  return copied(result, "result", RESULT_BYTES_MAX);
}

/** Validates and copies the details of an error. */
export function checkDetails(details: unknown): JsonObject {
  return copied(details, "details", EVENT_BYTES_MAX);
}

const REASON = new RegExp(`^[A-Z][A-Z0-9_]{0,${ERROR_REASON_CHARS_MAX - 1}}$`);

/** Whether a reason is UPPER_SNAKE_CASE, of at most 63 characters. */
export function isReason(reason: unknown): reason is string {
  return typeof reason === "string" && REASON.test(reason);
}

/** Truncates an error's message to the maximum length on a tape. */
export function cutMessage(message: string): string {
  return message.slice(0, ERROR_MESSAGE_CHARS_MAX).toWellFormed();
}

function checked<Body extends object>(body: Body, field: string): Body {
  checkJson(body, field, EVENT_BYTES_MAX);
  return body;
}

/** Rejects a value that is too large or that an endpoint cannot send exactly. The error names its path. */
function checkJson(value: unknown, field: string, bytesMax: number): void {
  const object = asObject(value, field);
  const bytes = refusingNotJson(() => measureJson(object, JSON_DEPTH_MAX, field, RESULT_VALUES_MAX));
  checkSize(object, { bytes, bytesMax, field });
}

/** Returns a copy of a value, after the same checks. */
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
  // JSON text is at most six times as long as protobuf (control characters), so it is only measured if it may be too
  // long.
  const isOver = bytes > bytesMax || (bytes * 6 > bytesMax && Buffer.byteLength(JSON.stringify(value)) > bytesMax);
  if (isOver) throw invalid(field, `must be at most ${bytesMax} bytes as JSON and as protobuf`);
}

function asObject(value: unknown, field: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalid(field, "must be a JSON object");
}

function checkName(name: unknown, field: string, charsMax: number): asserts name is string {
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
