import { abortable } from "../async/abort.ts";

/**
 * Does work while the page is visible, and again each time it becomes visible. A tab in the background holds no
 * connection, because a browser allows only six per server. Ends or throws when the work does.
 *
 * @param work receives a signal that fires when the page is hidden, or with `signal`
 */
export async function whileVisible(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  for (;;) {
    await untilVisible(signal);
    const stretch = new AbortController();
    const onChange = () => document.hidden && stretch.abort();
    document.addEventListener("visibilitychange", onChange);
    try {
      return await work(AbortSignal.any([signal, stretch.signal]));
    } catch (error) {
      if (signal.aborted || !stretch.signal.aborted) throw error;
    } finally {
      document.removeEventListener("visibilitychange", onChange);
    }
  }
}

async function untilVisible(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!document.hidden) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  document.addEventListener("visibilitychange", () => resolve(), { once: true, signal });
  await abortable(promise, signal);
  return untilVisible(signal);
}
