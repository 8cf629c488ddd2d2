import { EXIT } from "../exit-codes.ts";

/** The first Ctrl-C aborts the signal with `reason`; a second one exits the process at once. */
export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
  readonly reason: Error;
}

/** Handles Ctrl-C until the returned object is disposed. */
export function catchInterrupt(): Interrupt {
  const interrupt = new AbortController();
  const reason = new Error("interrupted");
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(EXIT.detached);
    interrupt.abort(reason);
  };
  process.on("SIGINT", onSignal);
  return { signal: interrupt.signal, reason, [Symbol.dispose]: () => process.off("SIGINT", onSignal) };
}
