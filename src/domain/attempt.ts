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
  shutdown: "the process that runs the task shuts down",
  handover: "the process that runs the task shuts down: another will resume it",
  unreached: "the task did not reach the worker that it was for",
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

/** Why an attempt's signal has fired; null: it has not. */
export function stopReasonOf(signal: AbortSignal): StopReason | null {
  return signal.aborted ? (signal.reason as AttemptStopped).because : null;
}

/** Where what an attempt emits goes: the journal in the server's process, the stream to the server in a worker's. */
export interface EventSink {
  /** Resolves when there is room for another. @throws LeaseLost, Overloaded; the event is not taken then */
  emit<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Promise<void>;
  /** Resolves when everything emitted so far is durable. @throws LeaseLost */
  flush(): Promise<void>;
}

/** What an attempt is made with. */
export interface AttemptParts {
  task: Pick<Task, "taskId" | "attempt" | "params">;
  sink: EventSink;
  /** Reads what an earlier attempt has left. */
  lastCheckpoint: () => Promise<JsonObject | null>;
  /** The attempt's place in its trace, as W3C writes it; null: it has none. */
  traceparent: string | null;
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
    return { type: "returned", result: checkResult(result) };
  } catch (error) {
    const because = stopReasonOf(signal);
    const outcome: AttemptOutcome = { type: "threw", failure: toFailure(error), because, isFinal: isFinal(error) };
    // The log does not change how the attempt ends, whatever it makes of what was thrown.
    if (because === null) readOr(() => onFailure(error), undefined);
    return outcome;
  }
}

/** Checked at the start already, unless that came to a process that has not got the kind. @throws TaskError, for good */
function parseStored(kind: Kind, { params }: AttemptParts["task"]): unknown {
  try {
    return kind.parseParams(params ?? {});
  } catch (error) {
    throw isInstance(error, InvalidArgument) ? refusedParams(error) : error;
  }
}

/** The error that a task fails with whose params its kind refuses. */
function refusedParams(error: InvalidArgument): TaskError {
  return new TaskError(error.reason, error.message, { retryable: false, cause: error });
}

/** What one who has the kind makes of a task's params, before it can run. */
export type Finding = { exclusiveKey: string | null } | { failure: TaskFailure };

/** Looks a task over. What its kind throws besides a refusal is what its attempts would fail with too. */
export function findingOf(kind: Kind, params: JsonObject): Finding {
  try {
    return { exclusiveKey: exclusiveKeyOf(kind, params) };
  } catch (error) {
    return { failure: toFailure(isInstance(error, InvalidArgument) ? refusedParams(error) : error) };
  }
}

function taskContext(
  { task: { taskId, attempt }, sink, lastCheckpoint, traceparent }: AttemptParts,
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
    partial: (kind, payload) => refusing(() => sink.emit("partial", partialBody(kind, payload))),
    lastCheckpoint,
    flush: () => sink.flush(),
  };
}

/** Emits, and rejects with what is refused. Nothing is made for an event that is taken, for there are millions of them. */
function refusing(emit: () => Promise<void>): Promise<void> {
  try {
    return emit();
  } catch (error) {
    return silencedRejection(error);
  }
}

/**
 * What callers are told of an error: its message, never its stack; a reason only where the kind named one. Never throws,
 * whatever was thrown.
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

/** Whether the code says that another attempt is of no use. */
function isFinal(thrown: unknown): boolean {
  return isInstance(thrown, TaskError) && !readOr(() => thrown.retryable, true);
}
