import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgument } from "./errors.ts";
import type { Violation } from "./errors.ts";
import type { LogLevel } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { EXCLUSIVE_KEY_BYTES_MAX } from "./limits.ts";
import type { RetrySettings } from "./retry.ts";

/**
 * What the code of a kind is given for one attempt at one task.
 *
 * What it emits is put on the tape in the order of the calls. A call resolves as soon as there is room, so that a
 * loop may await each without paying a commit each; nobody sees an event before it is durable, `flush` waits until
 * all so far are, and the task's end waits too. A call rejects with LeaseLost once the task is not this attempt's
 * any more, and with InvalidArgument for what an event cannot carry; such an event is not recorded.
 */
export interface TaskContext<Params = JsonObject> {
  readonly taskId: string;
  readonly params: Params;
  /** From 1. */
  readonly attempt: number;
  /** Fires when the task is cancelled, timed out, lost or the server stops. Its reason is an Error that says which. */
  readonly signal: AbortSignal;
  /**
   * The attempt's span, as W3C writes it, for what goes on elsewhere: another process, another language. Within the code
   * it is OpenTelemetry's active span, so that spans that the code begins are its children. Where the call that started the
   * task was not sampled, it is that call's, which says so. null: nothing is traced.
   */
  readonly traceparent: string | null;
  /**
   * How far a phase has come.
   *
   * @param current units done, an integer from 0 to 2^53 - 1
   * @param total units to do; 0 where that is not known
   */
  progress(phase: string, current?: number, total?: number, detail?: JsonObject): Promise<void>;
  /** A line for people, at a level in either case: "WARN" or "warn". */
  log(level: LogLevel | Lowercase<LogLevel>, message: string): Promise<void>;
  /** A piece of the outcome before the end. One of kind `checkpoint` is also what a later attempt is given. */
  partial(kind: string, payload: JsonObject): Promise<void>;
  /**
   * What an earlier attempt at the task recorded last as a partial of kind `checkpoint`; null where none did. Rejects
   * with the signal's reason when that fires first.
   */
  lastCheckpoint(): Promise<JsonObject | null>;
  /** Resolves when everything emitted so far is durable. */
  flush(): Promise<void>;
}

/** A kind of task: a name, the params it takes and the code that runs it. Made by defineKind. */
export interface Kind {
  readonly name: string;
  /** The params with defaults filled in. Throws InvalidArgument naming `params.FIELD`. */
  parseParams(params: JsonObject): unknown;
  /** Of all the tasks of a namespace that give the same key, one runs at a time; null: no such rule. */
  exclusiveKey(params: unknown): string | null;
  /** Whether it gives a key for any params. */
  readonly isExclusive: boolean;
  /** The retry policy of tasks whose start has none. */
  readonly retry: RetrySettings;
  /** Whether an attempt that was cut short may be made again: a process that stops hands its tasks on, at no cost. */
  readonly resumable: boolean;
  /** Returns the result, an object of at most 3 MiB, or nothing. Throws TaskError to fail with a reason of its own. */
  run(context: TaskContext<unknown>): Promise<JsonObject | void>;
}

/** The exclusive key of params, checked. @throws InvalidArgument, and whatever else the kind's own code throws */
export function exclusiveKeyOf(kind: Kind, params: JsonObject): string | null {
  const key = kind.exclusiveKey(kind.parseParams(params));
  if (key === null) return null;
  const isKey = typeof key === "string" && key !== "" && key.isWellFormed() && !key.includes("\0");
  if (isKey && Buffer.byteLength(key) <= EXCLUSIVE_KEY_BYTES_MAX) return key;
  const description = `their exclusive key must be a text of 1 to ${EXCLUSIVE_KEY_BYTES_MAX} bytes, without NUL`;
  throw new InvalidArgument([{ field: "params", description }]);
}

interface TaskErrorOptions {
  details?: JsonObject;
  /** false: the task fails now, whatever attempts it has left. */
  retryable?: boolean;
  cause?: unknown;
}

/** Thrown by a kind: the attempt fails with this reason, message and details. */
export class TaskError extends Error {
  readonly reason: string;
  readonly details: JsonObject | undefined;
  readonly retryable: boolean;

  /** @param reason UPPER_SNAKE_CASE, at most 63 characters */
  constructor(reason: string, message: string, { details, retryable = true, cause }: TaskErrorOptions = {}) {
    super(message, { cause });
    this.name = "TaskError";
    this.reason = reason;
    this.details = details;
    this.retryable = retryable;
  }
}

/** Checks a value by any Standard Schema (valibot, zod, arktype, …). Throws InvalidArgument with a field for each issue. */
export function parseBySchema<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  value: unknown,
  field: string,
): Output {
  const outcome = schema["~standard"].validate(value);
  if (outcome instanceof Promise) throw new TypeError(`the schema of ${field} must not be asynchronous`);
  if (outcome.issues === undefined) return outcome.value;
  throw new InvalidArgument(
    outcome.issues.map((issue): Violation => {
      const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
      return { field: [field, ...path].join("."), description: String(issue.message) };
    }),
  );
}
