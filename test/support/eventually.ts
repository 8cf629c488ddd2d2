import { setTimeout } from "node:timers/promises";

const POLL_MS = 25;

/** How long to wait, and for what. */
export interface EventuallyOptions {
  /** How long the check may go on failing. 30,000 by default. */
  timeoutMs?: number;
  /** What is waited for, as a sentence that the error can end with: "the task is running". */
  describe?: string;
}

/**
 * Waits until `check` returns, and gives what it returned: for facts that no event announces. It is asked every 25 ms.
 * When the time is up it throws, with the check's last error as its cause.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 30_000, describe = "the check holds" }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= deadline) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`Not within ${timeoutMs} ms: ${describe} (${reason})`, { cause: error });
      }
    }
    await setTimeout(POLL_MS);
  }
}
