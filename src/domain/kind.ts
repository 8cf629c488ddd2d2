import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidArgument } from "./errors.ts";
import type { Violation } from "./errors.ts";
import type { LogLevel } from "./event.ts";
import type { JsonObject } from "./json.ts";
import { EXCLUSIVE_KEY_BYTES_MAX } from "./limits.ts";
import { recognizeCopies } from "./recognize-copies.ts";
import type { RetrySettings } from "./retry.ts";
import type { SeriesOptions } from "./series.ts";

export interface PartialOptions {
  series?: SeriesOptions | undefined;
}

/**
 * What the code of a kind receives for one attempt at a task.
 *
 * Events are put on the tape in the order of the calls. A call resolves when there is room for another event, so a loop
 * can await each call without paying for a commit each. No reader sees an event before it is durable. `flush` waits
 * until all events so far are durable, and so does the end of the task. A call rejects with LeaseLost if the attempt no
 * longer owns the task, and with InvalidArgument if the event is invalid; then the event is not recorded.
 */
export interface TaskContext<Params = JsonObject> {
  readonly taskId: string;
  readonly params: Params;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /**
   * Fires when the task is cancelled, times out or is lost, or when the server stops. Its reason is an Error that says
   * why.
   */
  readonly signal: AbortSignal;
  /**
   * The attempt's span as a W3C traceparent, to continue the trace in other processes and languages. Within the code,
   * the span is OpenTelemetry's active span, so new spans are its children. If the start was not sampled, this is the
   * unsampled span of the start. null: no tracing.
   */
  readonly traceparent: string | null;
  /**
   * Emits the progress of a phase.
   *
   * @param current finished units, an integer from 0 to 2^53 - 1
   * @param total all units; 0 if unknown
   */
  progress(phase: string, current?: number, total?: number, detail?: JsonObject): Promise<void>;
  /** Emits a log line for people. The level may be in upper or lower case: "WARN" or "warn". */
  log(level: LogLevel | Lowercase<LogLevel>, message: string): Promise<void>;
  /**
   * Emits a part of the outcome before the end. A later attempt receives the last partial of kind `checkpoint`.
   *
   * @param options.series the series that the partial continues: the tokens of a text, or the states of a value. Default:
   *   none
   */
  partial(kind: string, payload: JsonObject, options?: PartialOptions): Promise<void>;
  /**
   * Returns the last partial of kind `checkpoint` from earlier attempts; null: there is none. Rejects with the signal's
   * reason if the signal fires first.
   */
  lastCheckpoint(): Promise<JsonObject | null>;
  /** Resolves when everything emitted so far is durable. */
  flush(): Promise<void>;
}

/** A removed task, as the removal hook of its kind receives it. */
export interface RemovedTask {
  readonly taskId: string;
  /** As given at the start. An earlier version of the kind may have accepted them. */
  readonly params: JsonObject;
  readonly labels: Readonly<Record<string, string>>;
  /** The number of the attempt at the hook, from 1. */
  readonly attempt: number;
  /** Fires after 30 s, and when the server stops. The hook is then run again later. */
  readonly signal: AbortSignal;
}

/** A kind of task: its name, its params and the code that runs it. Made by defineKind. */
export interface Kind {
  readonly name: string;
  /** Returns the params with defaults filled in. @throws InvalidArgument naming `params.FIELD` */
  parseParams(params: JsonObject): unknown;
  /** Returns a key: of the tasks in a namespace with the same key, one runs at a time. null: no restriction. */
  exclusiveKey(params: unknown): string | null;
  /** Whether exclusiveKey can return a key. */
  readonly isExclusive: boolean;
  /** The retry settings of tasks whose start has none. */
  readonly retry: RetrySettings;
  /**
   * Whether an interrupted attempt can be repeated. If so, a process that stops hands over its tasks, and the
   * interrupted attempt does not count.
   */
  readonly resumable: boolean;
  /**
   * Runs the task. Returns the result, an object of at most 3 MiB, or nothing. Throws TaskError to fail with its own
   * reason.
   */
  run(context: TaskContext<unknown>): Promise<JsonObject | void>;
  /** Deletes what the kind has stored for a removed task. Undefined: nothing. */
  onRemoved?: ((task: RemovedTask) => Promise<void>) | undefined;
}

/** Returns the validated exclusive key of params. @throws InvalidArgument, and any error of the kind's own code */
export function exclusiveKeyOf(kind: Kind, params: JsonObject): string | null {
  const key = kind.exclusiveKey(kind.parseParams(params));
  if (key === null) return null;
  const isKey = typeof key === "string" && key !== "" && key.isWellFormed() && !key.includes("\0");
  if (isKey && Buffer.byteLength(key) <= EXCLUSIVE_KEY_BYTES_MAX) return key;
  const description = `their exclusive key must be text of 1 to ${EXCLUSIVE_KEY_BYTES_MAX} bytes, without NUL`;
  throw new InvalidArgument([{ field: "params", description }]);
}

interface TaskErrorOptions {
  details?: JsonObject;
  /** false: the task fails now, even if it has attempts left. */
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
recognizeCopies(TaskError, "TaskError");

/**
 * Validates a value with any Standard Schema (valibot, zod, arktype, …). @throws InvalidArgument with a field for each
 * issue
 */
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
