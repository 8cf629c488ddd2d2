import type { Logger } from "pino";
import { within } from "../../async/time-limit.ts";
import { currentAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";

/** How long a crashing server may take to store which task caused the crash. */
const HAND_OVER_MS = 1_000;
/** How many running attempts are logged if the cause of the crash is unknown. */
const NAMED_MAX = 20;

/** What the engine offers to a process that is about to crash. */
export interface LastWords {
  running(): readonly AttemptRef[];
  /** Stores which task crashed the process, and hands the other running tasks over. */
  handOver(culprit: AttemptRef, error: unknown): Promise<void>;
}

/**
 * Ends the process on an uncaught error, because its state is no longer reliable. Logs the task whose code threw, and
 * stores the task as the cause if that succeeds within a second. If the task is unknown, the log line names the running
 * tasks. An exit by the code of a task is logged as well.
 *
 * @param lastWords returns undefined before the engine exists
 */
export function endOnFatalErrors({
  log,
  exitCode,
  lastWords,
}: {
  log: Logger;
  exitCode: number;
  lastWords: () => LastWords | undefined;
}): void {
  let isDying = false;
  // Without this handler, Node prints the error to the log's stream with any secret that it contains.
  process.on("uncaughtException", (error) => {
    if (isDying) return; // Later errors follow from the first.
    isDying = true;
    const culprit = currentAttempt();
    const words = lastWords();
    log.fatal({ ...placeOf(culprit, words), err: error }, "process: uncaught error, exiting");
    if (culprit === null || words === undefined) process.exit(exitCode);
    void within(words.handOver(culprit, error), HAND_OVER_MS)
      .catch((reason: unknown) => log.error({ err: reason }, "process: cause of the crash not stored"))
      .finally(() => process.exit(exitCode));
  });
  // Runs before the exit listener of the log, which writes the remaining lines.
  process.prependListener("exit", (code) => {
    const culprit = currentAttempt();
    if (culprit === null || isDying) return;
    log.fatal({ ...fieldsOf(culprit), exit_code: code }, "process: exit called by the code of a task, exiting");
  });
}

function placeOf(culprit: AttemptRef | null, words: LastWords | undefined): object {
  if (culprit !== null) return fieldsOf(culprit);
  const running = words?.running() ?? [];
  return { running_count: running.length, running: running.slice(0, NAMED_MAX).map(fieldsOf) };
}

function fieldsOf({ taskId, kind, attempt }: AttemptRef) {
  return { task_id: taskId, kind, attempt };
}
