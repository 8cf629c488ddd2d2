import { TIMER_MS_MAX } from "./time-limit.ts";

/** Waits. @throws the signal's reason when the signal fires first */
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
