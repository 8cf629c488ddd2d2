import { isTransient } from "./errors.ts";
import { pause, TIMER_MS_MAX } from "./timing.ts";

/** How long the client keeps trying without any success, unless told otherwise. */
export const RETRY_MS_DEFAULT = 60_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;
/** Of what the server asks for, added at random, so that those it turned away together do not come back together. */
const HINT_JITTER = 0.2;

/**
 * Decides after each failure whether to try again, and when: after what the server asked for or after a delay that
 * doubles, both with jitter, until `retryMs` have passed without a success.
 */
export class Patience {
  readonly #retryMs: number;
  #failures = 0;
  /** Since when nothing has succeeded. */
  #since: number | null = null;

  /** @param retryMs 0: never try again; Infinity: never give up */
  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  /** Something succeeded: what comes now is a new outage. */
  succeeded(): void {
    this.#failures = 0;
    this.#since = null;
  }

  /** @returns the ms to wait before the next try; null: the error will not go away, or has lasted too long */
  nextDelayMs(error: unknown): number | null {
    if (!isTransient(error)) return null;
    const now = performance.now();
    this.#since ??= now;
    this.#failures++;
    const delayMs = Math.max(backoffMs(this.#failures), hintMs(error.retryAfterMs));
    return now - this.#since + delayMs > this.#retryMs ? null : delayMs;
  }
}

function backoffMs(failures: number): number {
  const ceilingMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (failures - 1));
  return ceilingMs * (0.5 + Math.random() / 2);
}

function hintMs(retryAfterMs: number | undefined): number {
  return retryAfterMs === undefined ? 0 : Math.min(TIMER_MS_MAX, retryAfterMs * (1 + HINT_JITTER * Math.random()));
}

/**
 * Calls until it succeeds, fails for good, or `retryMs` have passed since the first failure. Only for calls that are
 * safe to repeat; all of this service's are, a start by its request id.
 */
export async function withRetries<Answer>(
  call: () => Promise<Answer>,
  { retryMs, signal }: { retryMs: number; signal?: AbortSignal | undefined },
): Promise<Answer> {
  const patience = new Patience(retryMs);
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const delayMs = patience.nextDelayMs(error);
      if (delayMs === null) throw error;
      await pause(delayMs, signal);
    }
  }
}
