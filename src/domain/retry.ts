import { ATTEMPTS_DEFAULT, ATTEMPTS_MAX, BACKOFF_MS_MAX, BACKOFF_MS_MIN, BACKOFF_MULTIPLIER_MAX } from "./limits.ts";

/** How long a task waits after a failed attempt: longer with each failure, minus a random share. */
export interface RetryPolicy {
  /** After the first failure, in milliseconds. */
  initialBackoffMs: number;
  /** The longest wait, in milliseconds. */
  maxBackoffMs: number;
  /** The factor by which each further failure multiplies the wait, at least 1. */
  backoffMultiplier: number;
  /** The random share of the wait, 0 to 1: tasks that failed together do not retry together. */
  jitter: number;
}

export const DEFAULT_RETRY_POLICY: Readonly<RetryPolicy> = {
  initialBackoffMs: 1_000,
  maxBackoffMs: 5 * 60_000,
  backoffMultiplier: 2,
  jitter: 0.2,
};

/** The minimum and maximum of each setting of a kind or a start. */
export const RETRY_BOUNDS = {
  maxAttempts: [1, ATTEMPTS_MAX],
  initialBackoffMs: [BACKOFF_MS_MIN, BACKOFF_MS_MAX],
  maxBackoffMs: [BACKOFF_MS_MIN, BACKOFF_MS_MAX],
  backoffMultiplier: [1, BACKOFF_MULTIPLIER_MAX],
  jitter: [0, 1],
} as const satisfies Record<keyof RetrySettings, readonly [min: number, max: number]>;

/** The retry settings of a kind. Missing settings have the default. */
export interface RetrySettings extends Partial<RetryPolicy> {
  maxAttempts?: number;
}

/** The retry settings of a start. */
export interface AskedRetry {
  /** null: set by the kind. */
  maxAttempts: number | null;
  /** The settings that override the kind's. */
  retryPolicy: Partial<RetryPolicy>;
}

/** Resolves the settings of a task: those of its start, else of its kind, else the defaults. */
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
 * Returns the wait before the next attempt, in whole milliseconds.
 *
 * @param failures how many attempts have failed, from 1
 * @param random 0 to 1, drawn for this wait
 */
export function retryDelayMs(policy: RetryPolicy, failures: number, random: number): number {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = policy;
  const delayMs = Math.min(maxBackoffMs, initialBackoffMs * backoffMultiplier ** (failures - 1));
  return Math.round(delayMs * (1 - jitter * random));
}
