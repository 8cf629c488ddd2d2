import type { Finding } from "../../domain/attempt.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import type { AttemptOutcome } from "../../domain/lifecycle.ts";
import type { Fence, Task } from "../../domain/task.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import type { AttemptSpan } from "../../telemetry/attempt-span.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** An attempt that is stored as running and is to be run. */
export interface HostedAttempt {
  task: Task;
  writer: TapeWriter;
  /** Reads what an earlier attempt has left. */
  lastCheckpoint: () => Promise<JsonObject | null>;
  span: AttemptSpan;
}

/** Where the code of attempts runs: in this process, or in a worker's that is connected to it. */
export interface AttemptHost {
  /** Whether to run a task that is stored as its own and was never started here; else the task is released. */
  readonly runsUnstartedTasks: boolean;
  /**
   * Whether its slots are for code alone: the next attempt may begin as soon as the code of one has ended, while that end
   * is being stored. Else an attempt has its slot until then.
   */
  readonly freesSlotsWithCode: boolean;
  /** What becomes of failed attempts at tasks of the kind, where the start does not say. */
  retryOf(kind: string): RetrySettings;
  /** Validates a task before it can run. @returns null where that is not possible now */
  check(task: { taskId: string; kind: string; params: JsonObject }): Promise<Finding | null>;
  /** Whether an attempt at a task of the kind that was cut short may be made again. */
  isResumable(kind: string): boolean;
  /**
   * Runs the code of one attempt and says how it ended. Never rejects.
   *
   * @param signal fires with AttemptStopped when the code should stop
   */
  run(attempt: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome>;
  /** Does what sets code of the attempt off, where that runs in this process: what it throws is then the attempt's. */
  within(attempt: AttemptRef, work: () => void): void;
  /**
   * Called when the attempt is over.
   *
   * @param isStored whether how its code ended is what the attempt has ended by: else it was taken from it before
   */
  onEnded(fence: Fence, isStored: boolean): void;
}
