import { checkDetails, checkResult, cutMessage, isReason, logBody, partialBody, progressBody } from "./emission.ts";
import type { EmittedType } from "./emission.ts";
import { InvalidArgument } from "./errors.ts";
import type { EventBodies, TaskFailure } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { exclusiveKeyOf, TaskError } from "./kind.ts";
import type { Kind, TaskContext } from "./kind.ts";
import type { AttemptOutcome, StopReason } from "./lifecycle.ts";
import { silencedRejection } from "./ignore-rejection.ts";
import type { Task } from "./task.ts";
import { isInstance, messageOf, readOr } from "./thrown.ts";

const STOP_MESSAGES = {
  cancel: "the task was cancelled",
  deadline: "the attempt ran longer than its timeout, or the task has passed its deadline",
  limit: "the task emitted more than its namespace allows",
  shutdown: "the process that runs the task shuts down",
  handover: "the process that runs the task shuts down: another will resume it",
  unreached: "the task did not reach its worker",
  lost: "the attempt no longer owns the task",
} satisfies Record<StopReason, string>;

/** The reason of a fired task signal. */
export class AttemptStopped extends Error {
  readonly because: StopReason;

  constructor(because: StopReason) {
    super(STOP_MESSAGES[because]);
    this.name = "AbortError"; // Code and libraries tell a stop from a failure by this name.
    this.because = because;
  }
}

/** Returns why an attempt's signal has fired; null: it has not. */
export function stopReasonOf(signal: AbortSignal): StopReason | null {
  return signal.aborted ? (signal.reason as AttemptStopped).because : null;
}

/** Takes the events of an attempt: the journal in a server's process, the stream to the server in a worker's. */
export interface EventSink {
  /** Resolves when there is room for another event. @throws LeaseLost, Overloaded; the event is then not recorded */
  emit<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Promise<void>;
  /** Resolves when everything emitted so far is durable. @throws LeaseLost */
  flush(): Promise<void>;
}

/** What an attempt needs to run. */
export interface AttemptContext {
  task: Pick<Task, "taskId" | "attempt" | "params">;
  sink: EventSink;
  /** Reads the last checkpoint of earlier attempts; null: there is none. */
  lastCheckpoint: () => Promise<JsonObject | null>;
  /** The attempt's span, as a W3C traceparent; null: none. */
  traceparent: string | null;
}

/**
 * Runs the code of a kind for one attempt and returns how it ended. Never throws: an error of the code is an outcome.
 *
 * @param signal fires with AttemptStopped when the code should stop
 * @param onFailure is called with the error that the code threw, for the log; callers get only its message
 */
export async function runAttempt(
  { kind, ...parts }: AttemptContext & { kind: Kind },
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<AttemptOutcome> {
  try {
    const params = parseStored(kind, parts.task);
    const result = (await kind.run(taskContext(parts, { params, signal }))) ?? {};
    return { type: "returned", result: checkResult(result) };
  } catch (error) {
    const because = stopReasonOf(signal);
    const outcome: AttemptOutcome = { type: "threw", failure: toFailure(error), because, isFinal: isFinal(error) };
    // A failure to log must not change how the attempt ends.
    if (because === null) readOr(() => onFailure(error), undefined);
    return outcome;
  }
}

/**
 * Parses stored params. They were validated at the start, unless that process did not have the kind.
 *
 * @throws TaskError, not retryable
 */
function parseStored(kind: Kind, { params }: AttemptContext["task"]): unknown {
  try {
    return kind.parseParams(params ?? {});
  } catch (error) {
    throw isInstance(error, InvalidArgument) ? refusedParams(error) : error;
  }
}

/** Returns the error of a task whose params its kind rejects. */
function refusedParams(error: InvalidArgument): TaskError {
  return new TaskError(error.reason, error.message, { retryable: false, cause: error });
}

/** The result of validating a waiting task in a process that has its kind. */
export type Validation = { exclusiveKey: string | null } | { failure: TaskFailure };

/** Validates a task. Any other error of the kind also counts as a failure, because the attempts would meet it too. */
export function validateParams(kind: Kind, params: JsonObject): Validation {
  try {
    return { exclusiveKey: exclusiveKeyOf(kind, params) };
  } catch (error) {
    return { failure: toFailure(isInstance(error, InvalidArgument) ? refusedParams(error) : error) };
  }
}

function taskContext(
  { task: { taskId, attempt }, sink, lastCheckpoint, traceparent }: AttemptContext,
  { params, signal }: { params: unknown; signal: AbortSignal },
): TaskContext<unknown> {
  return {
    taskId,
    params,
    attempt,
    signal,
    traceparent,
    progress: (phase, current = 0, total = 0, detail) =>
      refusing(() => sink.emit("progress", progressBody(phase, current, total, detail))),
    log: (level, message) => refusing(() => sink.emit("log", logBody(level, message))),
    partial: (kind, payload, options) =>
      refusing(() => sink.emit("partial", partialBody(kind, payload, options?.series))),
    lastCheckpoint,
    flush: () => sink.flush(),
  };
}

/**
 * Emits an event, and returns a rejected promise if the event is invalid. Allocates nothing for a valid event, because
 * tasks emit millions.
 */
function refusing(emit: () => Promise<void>): Promise<void> {
  try {
    return emit();
  } catch (error) {
    return silencedRejection(error);
  }
}

/**
 * Returns the failure that callers see: the error's message, never its stack, and a reason only if the kind gave one.
 * Never throws, whatever was thrown.
 */
export function toFailure(thrown: unknown): TaskFailure {
  const message = cutMessage(messageOf(thrown));
  if (!isInstance(thrown, TaskError)) return { reason: "KIND_FAILED", message };
  const named = readOr<unknown>(() => thrown.reason, null);
  const reason = isReason(named) ? named : "KIND_FAILED";
  try {
    const { details } = thrown;
    return { reason, message, ...(details === undefined ? {} : { details: checkDetails(details) }) };
  } catch {
    return { reason, message: cutMessage(`${message} (its details could not be recorded)`) };
  }
}

/** Whether the code declared the error as not retryable. */
function isFinal(thrown: unknown): boolean {
  return isInstance(thrown, TaskError) && !readOr(() => thrown.retryable, true);
}
