import type { Logger } from "pino";
import { within } from "../../async/time-limit.ts";
import { currentAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";

/** How long a server that is taken down by the code of a task has to store which it was. */
const HAND_OVER_MS = 1_000;
/** So many of the attempts that run are named, where nobody knows which of them it was. */
const NAMED_MAX = 20;

/** What the engine has for a process that is about to die. */
export interface LastWords {
  running(): readonly AttemptRef[];
  /** Stores whose code has taken the process down, and hands on what else runs. */
  handOver(culprit: AttemptRef, error: unknown): Promise<void>;
}

/**
 * Ends the process on an error that nobody caught, with a line that names the task whose code it came from, and stores
 * that where it can within a second: the state of the process is not to be relied on any longer. Where no task is known,
 * the line names those that run. An exit that the code of a task asks for has its line too.
 *
 * @param lastWords undefined: the engine is not there yet
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
  // Node would print it as it is, on the log's own stream, and with whatever secret it holds.
  process.on("uncaughtException", (error) => {
    if (isDying) return; // What comes of it says less than the first.
    isDying = true;
    const culprit = currentAttempt();
    const words = lastWords();
    log.fatal({ ...placeOf(culprit, words), err: error }, "an error that nobody caught: the server ends");
    if (culprit === null || words === undefined) process.exit(exitCode);
    void within(words.handOver(culprit, error), HAND_OVER_MS)
      .catch((reason: unknown) => log.error({ err: reason }, "the last words of the server could not be stored"))
      .finally(() => process.exit(exitCode));
  });
  // Before the log writes what is left.
  process.prependListener("exit", (code) => {
    const culprit = currentAttempt();
    if (culprit === null || isDying) return;
    log.fatal({ ...fieldsOf(culprit), exit_code: code }, "the code of a task has ended the process: the server ends");
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
