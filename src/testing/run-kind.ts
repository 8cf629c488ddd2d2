import type { SpoolEvent } from "../codec/event-types.ts";
import { InvalidArgument } from "../domain/errors.ts";
import type { TaskFailure } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import { exclusiveKeyOf } from "../domain/kind.ts";
import type { Kind } from "../domain/kind.ts";
import { paramsViolation } from "../domain/params.ts";
import { RETRY_BOUNDS } from "../domain/retry.ts";
import { isTerminal } from "../domain/task.ts";
import type { TerminalStatus } from "../domain/task.ts";
import type { RunKindOptions } from "./run-options.ts";
import { skipTime } from "./skipped-time.ts";
import { TestTask } from "./test-task.ts";

export type { RunControl, RunKindOptions } from "./run-options.ts";

/** How a task of a test ended. */
export interface KindRun {
  status: TerminalStatus;
  /** Set if the task succeeded. */
  result: JsonObject | null;
  /** Set if the task failed or was cancelled, as callers would see it. */
  error: TaskFailure | null;
  /** The number of attempts, handovers included. */
  attempts: number;
  /** The whole tape, from `started` to `final`. */
  events: readonly SpoolEvent[];
  /** What the code of the last attempt threw, with its stack; undefined: nothing, or it had been told to stop. */
  thrown: unknown;
}

/**
 * Runs one task of a kind in this process, without a server, to its end. Decides retries, cancels and handovers by the
 * same rules as a server, and checks params, events and results against the same bounds.
 *
 * @throws InvalidArgument for params and attempts that StartTask rejects; what `onEvent` throws
 */
export async function runKind(kind: Kind, params: JsonObject = {}, options: RunKindOptions = {}): Promise<KindRun> {
  checkStart(kind, params, options);
  using _ = options.clock === "skip" ? skipTime() : null;
  const task = new TestTask(kind, params, options);
  while (!isTerminal(task.status)) await task.runAttempt();
  const final = task.tape.events.at(-1);
  if (final?.type !== "final") throw new Error("the tape does not end with final");
  const { status, result = null, error = null } = final;
  return { status, result, error, attempts: task.attempt, events: task.tape.events, thrown: task.thrown };
}

/** Checks a task as its start would. @throws InvalidArgument, and any error of the kind's own code */
function checkStart(kind: Kind, params: JsonObject, { maxAttempts }: RunKindOptions): void {
  const violation = paramsViolation(params);
  if (violation !== null) throw new InvalidArgument([violation]);
  const [min, max] = RETRY_BOUNDS.maxAttempts;
  if (maxAttempts !== undefined && !(Number.isInteger(maxAttempts) && maxAttempts >= min && maxAttempts <= max)) {
    throw new InvalidArgument([
      { field: "max_attempts", description: `must be an integer from ${min} to ${max}, is ${maxAttempts}` },
    ]);
  }
  exclusiveKeyOf(kind, params);
}
