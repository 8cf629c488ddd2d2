import type { Validation } from "../../domain/attempt.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import type { AttemptOutcome } from "../../domain/lifecycle.ts";
import type { Fence, Task } from "../../domain/task.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import type { AttemptSpan } from "../../telemetry/attempt-span.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** An attempt that is stored as running, for a host to run. */
export interface HostedAttempt {
  task: Task;
  writer: TapeWriter;
  /** Reads the last checkpoint of earlier attempts. */
  lastCheckpoint: () => Promise<JsonObject | null>;
  span: AttemptSpan;
}

/** Runs the code of attempts: in this process, or in the process of a connected worker. */
export interface AttemptHost {
  /** Whether to run a task that the session owns but never started here. If false, such a task is released. */
  readonly runsUnstartedTasks: boolean;
  /**
   * Whether an attempt frees its slot as soon as its code has ended, while the end is still being stored. If false, the
   * attempt holds its slot until the end is stored.
   */
  readonly freesSlotsWithCode: boolean;
  /** Returns the kind's retry settings, for starts that set none. */
  retryOf(kind: string): RetrySettings;
  /** Validates a task before it can run. @returns null if the host cannot validate tasks at the moment */
  check(task: { taskId: string; kind: string; params: JsonObject }): Promise<Validation | null>;
  /** Returns whether an interrupted attempt at a task of the kind may be run again. */
  isResumable(kind: string): boolean;
  /**
   * Runs the code of one attempt and returns how the code ended. Never rejects.
   *
   * @param signal fires with AttemptStopped when the code should stop
   */
  run(attempt: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome>;
  /** Does work that triggers code of the attempt. Errors of that code, if it runs here, count as the attempt's. */
  within(attempt: AttemptRef, work: () => void): void;
  /**
   * Called when the attempt is over.
   *
   * @param isStored whether the stored end is the end of the attempt's code; false: the task was taken from the code
   */
  onEnded(fence: Fence, isStored: boolean): void;
}
