import { RetryBudget, retryWhile } from "../async/retry.ts";
import type { RetryPolicy } from "../async/retry.ts";
import { TIMER_MS_MAX } from "../async/time-limit.ts";
import { isTransient } from "./errors.ts";

/** Default time for which the client retries without success, in ms. */
export const RETRY_MS_DEFAULT = 60_000;
const BACKOFF = { firstMs: 100, maxMs: 5_000, jitter: 0.5 };
/**
 * The random share that is added to the server's retry hint, so that clients that were rejected together spread out.
 */
const HINT_JITTER = 0.2;

/**
 * Decides after each failure of a stream whether and when to reconnect. The delay is the server's hint, or doubles with
 * each failure; both have jitter. The budget ends after `retryMs` without success.
 *
 * @param retryMs 0: never retry. Infinity: no limit
 */
export function retryBudget(retryMs: number): RetryBudget {
  return new RetryBudget(isTransient, policyOf(retryMs));
}

/**
 * Repeats a call until it succeeds, fails with a permanent error, or `retryMs` have passed since the first failure.
 * Only for calls that are safe to repeat. All calls of TaskService are, a start because of its request id.
 *
 * @param onFailure is called for each error that is retried
 */
export function withRetries<Answer>(
  call: () => Promise<Answer>,
  { retryMs, ...options }: { retryMs: number; signal?: AbortSignal | undefined; onFailure?: (error: unknown) => void },
): Promise<Answer> {
  return retryWhile(isTransient, call, { ...policyOf(retryMs), ...options });
}

function policyOf(totalMs: number): RetryPolicy {
  return { backoff: BACKOFF, totalMs, leastMs: hintMs };
}

function hintMs(error: unknown): number {
  if (!isTransient(error) || error.retryAfterMs === undefined) return 0;
  return Math.min(TIMER_MS_MAX, error.retryAfterMs * (1 + HINT_JITTER * Math.random()));
}
