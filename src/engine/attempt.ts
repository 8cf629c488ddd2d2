import { InvalidArgument } from "../domain/errors.ts";
import { LOG_LEVELS, newEvent } from "../domain/event.ts";
import type { EventBodies, EventType, TaskFailure } from "../domain/event.ts";
import { measureJson, NotJson } from "../domain/json.ts";
import type { JsonObject } from "../domain/json.ts";
import { TaskError } from "../domain/kind.ts";
import type { Kind, TaskContext } from "../domain/kind.ts";
import type { AttemptOutcome, StopReason } from "../domain/lifecycle.ts";
import {
  ERROR_MESSAGE_CHARS_MAX,
  ERROR_REASON_CHARS_MAX,
  EVENT_BYTES_MAX,
  JSON_DEPTH_MAX,
  PARTIAL_KIND_CHARS_MAX,
  PHASE_CHARS_MAX,
  RESULT_BYTES_MAX,
} from "../domain/limits.ts";
import type { Task } from "../domain/task.ts";
import type { TapeWriter } from "./tape-writer.ts";

const STOP_MESSAGES = {
  cancel: "the task was cancelled",
  deadline: "the attempt ran longer than its timeout, or the task has passed its deadline",
  shutdown: "the server shuts down",
  handover: "the server shuts down: another will resume the task",
  lost: "the attempt no longer owns the task",
} satisfies Record<StopReason, string>;

/** The reason that a task's signal fires with. */
export class AttemptStopped extends Error {
  readonly because: StopReason;

  constructor(because: StopReason) {
    super(STOP_MESSAGES[because]);
    this.name = "AbortError"; // What code and libraries look for to tell a stop from a failure.
    this.because = because;
  }
}

/**
 * Runs the code of a kind for one attempt and says how it ended. Never throws: what the code throws is the outcome.
 *
 * @param signal fires with AttemptStopped when the code should stop
 * @param onFailure is told what the code threw, for the log; callers get the message alone
 */
export async function runAttempt(
  { kind, ...parts }: AttemptParts & { kind: Kind },
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<AttemptOutcome> {
  try {
    const params = parseStored(kind, parts.task);
    const result = (await kind.run(taskContext(parts, { params, signal }))) ?? {};
    checkJson(result, "result", RESULT_BYTES_MAX);
    return { type: "returned", result };
  } catch (error) {
    const because = signal.aborted ? (signal.reason as AttemptStopped).because : null;
    if (because === null) onFailure(error);
    return { type: "threw", failure: toFailure(error), because, isFinal: isFinal(error) };
  }
}

/** Checked at the start already, unless that came to a process that has not got the kind. @throws TaskError, for good */
function parseStored(kind: Kind, { params }: Task): unknown {
  try {
    return kind.parseParams(params ?? {});
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    throw new TaskError(error.reason, error.message, { retryable: false, cause: error });
  }
}

interface AttemptParts {
  task: Task;
  writer: TapeWriter;
  /** Reads what an earlier attempt has left. */
  lastCheckpoint: () => Promise<JsonObject | null>;
}

function taskContext(
  { task: { taskId, attempt }, writer, lastCheckpoint }: AttemptParts,
  { params, signal }: { params: unknown; signal: AbortSignal },
): TaskContext<unknown> {
  const emit = <Type extends EventType>(type: Type, body: EventBodies[Type]): Promise<void> => {
    checkJson(body, type, EVENT_BYTES_MAX);
    return writer.append(newEvent(type, body));
  };
  return {
    taskId,
    params,
    attempt,
    signal,
    progress: (phase, current = 0, total = 0, detail) =>
      refusing(() => {
        checkName(phase, "progress.phase", PHASE_CHARS_MAX);
        checkCount(current, "progress.current");
        checkCount(total, "progress.total");
        if (detail === undefined) return emit("progress", { phase, current, total });
        return emit("progress", { phase, current, total, detail: asObject(detail, "progress.detail") });
      }),
    log: (level, message) =>
      refusing(() => {
        if (!LOG_LEVELS.includes(level)) throw invalid("log.level", `must be one of ${LOG_LEVELS.join(", ")}`);
        if (typeof message !== "string") throw invalid("log.message", "must be a string");
        return emit("log", { level, message });
      }),
    partial: (kind, payload) =>
      refusing(() => {
        checkName(kind, "partial.kind", PARTIAL_KIND_CHARS_MAX);
        return emit("partial", { kind, payload: asObject(payload, "partial.payload") });
      }),
    lastCheckpoint,
    flush: () => writer.flush(),
  };
}

/**
 * Emits, and rejects with what is refused: code that emits without awaiting is not to be brought down by a throw, nor
 * the process by an unhandled rejection. Nothing is made for an event that is taken, for there are millions of them.
 */
function refusing(emit: () => Promise<void>): Promise<void> {
  try {
    return emit();
  } catch (error) {
    const refused = Promise.reject(error);
    refused.catch(() => {});
    return refused;
  }
}

/** Refuses what no door could carry exactly, or what is too large, naming where it is. */
function checkJson(value: unknown, field: string, bytesMax: number): void {
  let bytes: number;
  try {
    bytes = measureJson(asObject(value, field), JSON_DEPTH_MAX, field);
  } catch (error) {
    if (error instanceof NotJson) throw invalid(error.path, error.problem);
    throw error;
  }
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

const REASON = new RegExp(`^[A-Z][A-Z0-9_]{0,${ERROR_REASON_CHARS_MAX - 1}}$`);

/** What callers are told of an error: its message, never its stack; a reason only where the kind named one. */
function toFailure(error: unknown): TaskFailure {
  const message = messageOf(error).toWellFormed().slice(0, ERROR_MESSAGE_CHARS_MAX).toWellFormed();
  if (!(error instanceof TaskError)) return { reason: "KIND_FAILED", message };
  const reason = REASON.test(error.reason) ? error.reason : "KIND_FAILED";
  try {
    if (error.details !== undefined) checkJson(error.details, "details", EVENT_BYTES_MAX);
  } catch {
    return { reason, message: `${message} (its details could not be recorded)` };
  }
  return { reason, message, ...(error.details === undefined ? {} : { details: error.details }) };
}

/** Whether the code says that another attempt is of no use. */
function isFinal(error: unknown): boolean {
  return error instanceof TaskError && !error.retryable;
}

/** Code may throw anything, also what has no text or throws when it is asked for it. */
function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "the code of the task threw what cannot be put in words";
  }
}
