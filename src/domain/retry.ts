import { ATTEMPTS_DEFAULT, ATTEMPTS_MAX, BACKOFF_MS_MAX, BACKOFF_MS_MIN, BACKOFF_MULTIPLIER_MAX } from "./limits.ts";

/** How long a task waits after a failed attempt: longer with each, and a little at random. */
export interface RetryPolicy {
  /** After the first failure, in milliseconds. */
  initialBackoffMs: number;
  /** The longest wait, in milliseconds. */
  maxBackoffMs: number;
  /** What each further failure multiplies the wait by, from 1. */
  backoffMultiplier: number;
  /** The share of the wait that is left to chance, 0 to 1: tasks that failed together do not come back together. */
  jitter: number;
}

export const DEFAULT_RETRY_POLICY: Readonly<RetryPolicy> = {
  initialBackoffMs: 1_000,
  maxBackoffMs: 5 * 60_000,
  backoffMultiplier: 2,
  jitter: 0.2,
};

/** The least and the most of each, as a kind or a start may set them. */
export const RETRY_BOUNDS = {
  maxAttempts: [1, ATTEMPTS_MAX],
  initialBackoffMs: [BACKOFF_MS_MIN, BACKOFF_MS_MAX],
  maxBackoffMs: [BACKOFF_MS_MIN, BACKOFF_MS_MAX],
  backoffMultiplier: [1, BACKOFF_MULTIPLIER_MAX],
  jitter: [0, 1],
} as const satisfies Record<keyof RetrySettings, readonly [min: number, max: number]>;

/** What a kind says of the attempts at its tasks; what it leaves out is the default. */
export interface RetrySettings extends Partial<RetryPolicy> {
  maxAttempts?: number;
}

/** What a start says of the attempts at its task. */
export interface AskedRetry {
  /** null: as the kind says. */
  maxAttempts: number | null;
  /** What differs from what the kind says. */
  retryPolicy: Partial<RetryPolicy>;
}

/** What counts for a task: what its start says, else its kind, else the default. */
export function resolveRetry(
  asked: AskedRetry,
  { maxAttempts = ATTEMPTS_DEFAULT, ...byKind }: RetrySettings,
): { maxAttempts: number; retryPolicy: Readonly<RetryPolicy> } {
  const said = { ...byKind, ...asked.retryPolicy };
  const isDefault = Object.keys(said).length === 0;
  return {
    maxAttempts: asked.maxAttempts ?? maxAttempts,
    retryPolicy: isDefault ? DEFAULT_RETRY_POLICY : { ...DEFAULT_RETRY_POLICY, ...said },
  };
}

/**
 * How long to wait before the next attempt, in whole milliseconds.
 *
 * @param failures how many attempts have failed, from 1
 * @param random 0 to 1, drawn for this wait
 */
export function retryDelayMs(policy: RetryPolicy, failures: number, random: number): number {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = policy;
  const delayMs = Math.min(maxBackoffMs, initialBackoffMs * backoffMultiplier ** (failures - 1));
  return Math.round(delayMs * (1 - jitter * random));
}
