import { setLogger } from "@grpc/grpc-js";
import type { Logger } from "pino";

/** grpc-js quotes what a caller sent. */
const METADATA = /^(Failed to add metadata entry [^:]*):.*$/s;

/**
 * Has what libraries say by themselves logged as all else is: one line each, masked. grpc-js and Node would write it to
 * standard error as it is, which a caller's headers are part of.
 *
 * @returns undoes it
 */
export function logLibraries(log: Logger): () => void {
  const ofGrpc = log.child({ library: "grpc-js" });
  const text = (said: unknown) => String(said).replace(METADATA, "$1");
  setLogger({
    error: (said) => ofGrpc.warn(text(said)),
    info: (said) => ofGrpc.info(text(said)),
    debug: (said) => ofGrpc.debug(text(said)),
  });
  const onWarning = (warning: Error) => log.warn({ err: warning }, "node: warning");
  const others = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", onWarning);
  return () => {
    setLogger(console);
    process.off("warning", onWarning);
    for (const listener of others) process.on("warning", listener);
  };
}
