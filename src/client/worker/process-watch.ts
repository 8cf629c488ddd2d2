import { currentAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";

/**
 * Tells of errors that nobody caught, and of exits, that come from the code of an attempt. It looks on only: what becomes
 * of the process is for its owner to say.
 *
 * @param onFatal is told synchronously; without an error the code asked for the exit
 * @returns a function that ends the watch
 */
export function watchProcess(onFatal: (attempt: AttemptRef, error?: unknown) => void): () => void {
  let hasTold = false;
  const tell = (error?: unknown) => {
    const attempt = currentAttempt();
    if (attempt === null || hasTold) return;
    hasTold = error !== undefined; // The exit that follows is the error's.
    onFatal(attempt, error);
  };
  const onError = (error: unknown) => tell(error ?? new Error(String(error)));
  const onExit = () => tell();
  process.on("uncaughtExceptionMonitor", onError);
  process.on("exit", onExit);
  return () => {
    process.off("uncaughtExceptionMonitor", onError);
    process.off("exit", onExit);
  };
}
