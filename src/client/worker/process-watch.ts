import { currentAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";

/**
 * Reports uncaught errors and exits that the code of an attempt causes. Does not change how the process ends.
 *
 * @param onFatal is called synchronously; without an error, the code asked for the exit
 * @returns a function that ends the watch
 */
export function watchProcess(onFatal: (attempt: AttemptRef, error?: unknown) => void): () => void {
  let hasReported = false;
  const report = (error?: unknown) => {
    const attempt = currentAttempt();
    if (attempt === null || hasReported) return;
    hasReported = error !== undefined; // The exit that follows has the same cause.
    onFatal(attempt, error);
  };
  const onError = (error: unknown) => report(error ?? new Error(String(error)));
  const onExit = () => report();
  process.on("uncaughtExceptionMonitor", onError);
  process.on("exit", onExit);
  return () => {
    process.off("uncaughtExceptionMonitor", onError);
    process.off("exit", onExit);
  };
}
