import { setLogger } from "@grpc/grpc-js";
import type { Logger } from "pino";

/** A message in which grpc-js quotes what a caller sent. */
const METADATA = /^(Failed to add metadata entry [^:]*):.*$/s;

/**
 * Redirects the messages of libraries to the log, one masked line each. Otherwise grpc-js and Node write them to
 * standard error unmasked, with headers of callers.
 *
 * @returns a function that restores the previous state
 */
export function logLibraries(log: Logger): () => void {
  const ofGrpc = log.child({ library: "grpc-js" });
  const text = (message: unknown) => String(message).replace(METADATA, "$1");
  setLogger({
    error: (message) => ofGrpc.warn(text(message)),
    info: (message) => ofGrpc.info(text(message)),
    debug: (message) => ofGrpc.debug(text(message)),
  });
  const onWarning = (warning: Error) => log.warn({ err: warning }, "node: warning emitted");
  const others = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", onWarning);
  return () => {
    setLogger(console);
    process.off("warning", onWarning);
    for (const listener of others) process.on("warning", listener);
  };
}
