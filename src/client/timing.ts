/** The longest that a timer of Node holds, some 24 days. What is longer counts as without end. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Waits. Throws the signal's reason when it fires first. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise: isOver, resolve: end } = Promise.withResolvers<void>();
  const onAbort = () => end();
  const timer = setTimeout(end, Math.min(ms, TIMER_MS_MAX));
  signal?.addEventListener("abort", onAbort);
  await isOver;
  clearTimeout(timer);
  signal?.removeEventListener("abort", onAbort);
  signal?.throwIfAborted();
}

/** A signal that fires when the caller's does, or with `reason` after so long. Disposing it frees its timer. */
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

/** What the promise gives, or the signal's reason if that fires first: also for work that does not heed the signal. */
export async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
