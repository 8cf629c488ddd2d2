import type { SpoolEvent } from "../codec/event-types.ts";
import type { JsonObject } from "../domain/json.ts";

/** Stops the task of a test, as a caller or a server would. */
export interface RunControl {
  /** Cancels the task, as CancelTask does. */
  cancel(reason?: string): void;
  /** Ends the attempt, as its timeout does. */
  timeOut(): void;
  /**
   * Stops the attempt, as a server does that shuts down. A resumable kind gets another attempt, which does not count;
   * otherwise the attempt has failed.
   */
  shutDown(): void;
}

export interface RunKindOptions {
  /** The task's id. Default: a random UUID. */
  taskId?: string | undefined;
  /** 1 to 100. Default: set by the kind, else 1. */
  maxAttempts?: number | undefined;
  /** The checkpoint that the first attempt finds. Default: none. */
  checkpoint?: JsonObject | undefined;
  /**
   * `skip`: waits take no time, neither those of the code nor those between attempts. Do not use it for code that waits
   * for a network or a disk under a time limit, because the limit would pass at once. Default `real`.
   */
  clock?: "real" | "skip" | undefined;
  /** How long code may continue after it was told to stop, in ms. Default 5,000. */
  graceMs?: number | undefined;
  /**
   * Called with each event as soon as it is on the tape. It may stop the task. If it throws, the run ends: the code is
   * told to stop, and `runKind` rejects with the error.
   */
  onEvent?: ((event: SpoolEvent, control: RunControl) => void) | undefined;
}
