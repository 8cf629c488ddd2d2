/** Resolves with the value of the promise. Rejects with the signal's reason if the signal fires first. */
export function abortable<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return race(work, signal, () => {
    throw signal.reason;
  });
}

/** Resolves with the value of the promise, or with undefined if the signal fires first. */
export function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  return race(work, signal, () => undefined);
}

const ABORTED = Symbol("aborted");

/** Races a promise against a signal. The promise may settle late, and the signal keeps no listener after the race. */
async function race<Value, Otherwise>(
  work: Promise<Value>,
  signal: AbortSignal,
  onAborted: () => Otherwise,
): Promise<Value | Otherwise> {
  const { promise: aborted, resolve } = Promise.withResolvers<typeof ABORTED>();
  const onAbort = () => resolve(ABORTED);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    const outcome = await Promise.race([aborted, work]);
    return outcome === ABORTED ? onAborted() : outcome;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
