import { backoffMs, STORE_BACKOFF } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { pause } from "./pause.ts";

/** How long and how often to retry. */
export interface RetryPolicy {
  /** Default: STORE_BACKOFF. */
  backoff?: Backoff;
  /** How long to retry without a success, in ms; 0: never. Default: no limit. */
  totalMs?: number;
  /** The least delay that an error asks for, in ms. Default: none. */
  leastMs?: (error: unknown) => number;
}

/** Decides after each failure whether to retry, and after how long. */
export class RetryBudget {
  readonly #isTransient: (error: unknown) => boolean;
  readonly #policy: RetryPolicy;
  #failures = 0;
  /** When the current outage began; null: there is none. */
  #since: number | null = null;

  constructor(isTransient: (error: unknown) => boolean, policy: RetryPolicy = {}) {
    this.#isTransient = isTransient;
    this.#policy = policy;
  }

  /** Renews the budget: the next failure begins a new outage. */
  succeeded(): void {
    this.#failures = 0;
    this.#since = null;
  }

  /** @returns the ms to wait before the next try; null: the error is not transient, or the budget is used up */
  nextDelayMs(error: unknown): number | null {
    if (!this.#isTransient(error)) return null;
    const { backoff = STORE_BACKOFF, totalMs = Infinity, leastMs } = this.#policy;
    const now = performance.now();
    this.#since ??= now;
    this.#failures++;
    const delayMs = Math.max(backoffMs(this.#failures, backoff), leastMs?.(error) ?? 0);
    return now - this.#since + delayMs > totalMs ? null : delayMs;
  }
}

/**
 * Repeats a call until it succeeds, fails with an error that is not transient, or exceeds the policy's time. Then it
 * throws the last error. Only for calls that are safe to repeat.
 *
 * @param signal ends a delay: then the signal's reason is thrown
 * @param onFailure is called for each error that is retried
 * @param onOutage is called for the first of them
 */
export async function retryWhile<Answer>(
  isTransient: (error: unknown) => boolean,
  call: () => Promise<Answer>,
  {
    signal,
    onFailure,
    onOutage,
    ...policy
  }: RetryPolicy & {
    signal?: AbortSignal | undefined;
    onFailure?: (error: unknown) => void;
    onOutage?: (error: unknown) => void;
  } = {},
): Promise<Answer> {
  let budget: RetryBudget | null = null; // Most calls succeed at once.
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isFirst = budget === null;
      budget ??= new RetryBudget(isTransient, policy);
      const delayMs = budget.nextDelayMs(error);
      if (delayMs === null) throw error;
      if (isFirst) onOutage?.(error);
      onFailure?.(error);
      await pause(delayMs, signal);
    }
  }
}
