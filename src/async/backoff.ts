import { setTimeout } from "node:timers/promises";

const FIRST_MS = 50;
const MAX_MS = 1_000;

/** Waits before the next try: 50 ms after the first failure, doubled with each, a second at the most. @returns false when the signal fired */
export async function backoff(failures: number, signal: AbortSignal): Promise<boolean> {
  try {
    await setTimeout(Math.min(MAX_MS, FIRST_MS * 2 ** (failures - 1)), undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
