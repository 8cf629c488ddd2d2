import { untilAborted } from "./abort.ts";

/** The longest delay of a timer in Node, about 24 days. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** A signal that fires with the caller's signal, or with `reason` after the limit. Disposing it frees its timer. */
export interface TimeLimit extends Disposable {
  readonly signal: AbortSignal;
  readonly reason: Error;
}

/** @param ms more than TIMER_MS_MAX, Infinity included: no limit */
export function timeLimit(ms: number, signal?: AbortSignal): TimeLimit {
  const limit = new AbortController();
  const reason = new Error(`the time limit of ${ms} ms passed`);
  const timer = ms <= TIMER_MS_MAX ? setTimeout(() => limit.abort(reason), ms) : undefined;
  return {
    signal: signal ? AbortSignal.any([signal, limit.signal]) : limit.signal,
    reason,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Resolves with the value of the promise, or with undefined after the limit, or when the signal fires. */
export async function within<Value>(
  work: Promise<Value>,
  ms: number,
  signal?: AbortSignal,
): Promise<Value | undefined> {
  using limit = timeLimit(ms, signal);
  return await untilAborted(work, limit.signal);
}
