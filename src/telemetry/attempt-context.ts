import { AsyncLocalStorage } from "node:async_hooks";

/** Which attempt's code runs. */
export interface AttemptRef {
  taskId: string;
  kind: string;
  attempt: number;
}

/** What code leaves behind, its timers and promises, runs in it too: an uncaught error names its attempt. */
const attempts = new AsyncLocalStorage<AttemptRef | null>();

/** Runs code as that of an attempt, with all that it sets off. */
export function withinAttempt<Result>(attempt: AttemptRef, code: () => Result): Result {
  return attempts.run(attempt, code);
}

/** Does what is for others too, though an attempt's code asks for it. */
export function outsideAttempts<Result>(work: () => Result): Result {
  return currentAttempt() === null ? work() : attempts.run(null, work);
}

/** The attempt whose code runs now, or has set off what runs now; null: none's. */
export function currentAttempt(): AttemptRef | null {
  return attempts.getStore() ?? null;
}
