import { pause } from "./pause.ts";

/** How long to wait before a retry: `firstMs` after the first failure, doubled with each failure, `maxMs` at most. */
export interface Backoff {
  firstMs: number;
  maxMs: number;
  /** The random share of each delay, 0 to 1, so that clients that fail together do not retry together. Default 0. */
  jitter?: number;
}

/** For work on the server's own database, which has few retries at once. */
export const STORE_BACKOFF: Backoff = { firstMs: 50, maxMs: 1_000 };

/** @param failures in a row, from 1 */
export function backoffMs(failures: number, { firstMs, maxMs, jitter = 0 }: Backoff): number {
  const ceilingMs = Math.min(maxMs, firstMs * 2 ** (failures - 1));
  return ceilingMs * (1 - jitter * Math.random());
}

/** Waits before a retry of work on the server's own database. @returns false if the signal fired */
export async function backoff(failures: number, signal: AbortSignal): Promise<boolean> {
  await pause(backoffMs(failures, STORE_BACKOFF), signal).catch(() => {});
  return !signal.aborted;
}
