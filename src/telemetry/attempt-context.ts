import { AsyncLocalStorage } from "node:async_hooks";

/** Identifies the attempt whose code runs. */
export interface AttemptRef {
  taskId: string;
  kind: string;
  attempt: number;
}

/** Timers and promises that code leaves behind keep its context, so an uncaught error names its attempt. */
const attempts = new AsyncLocalStorage<AttemptRef | null>();

/** Runs code, and everything that it triggers, as code of an attempt. */
export function withinAttempt<Result>(attempt: AttemptRef, code: () => Result): Result {
  return attempts.run(attempt, code);
}

/** Runs shared work outside of any attempt, even if the code of an attempt triggers it. */
export function outsideAttempts<Result>(work: () => Result): Result {
  return currentAttempt() === null ? work() : attempts.run(null, work);
}

/** Returns the attempt whose code runs now or has triggered this; null: none. */
export function currentAttempt(): AttemptRef | null {
  return attempts.getStore() ?? null;
}
