import { pino } from "pino";
import type { DestinationStream } from "pino";

/** Where the lines of a log go. */
export interface LogDestination extends DestinationStream {
  /** Writes what waits, and returns when it is written. */
  flush(): void;
}

/** What waits is written when it is so much. */
const BUFFER_BYTES = 4_096;
/** And when it has waited for so long. */
const FLUSH_MS = 100;
/** What is kept while it cannot be written, as on a disk that is full. What comes then is lost. */
const BACKLOG_BYTES_MAX = 4 * 1_024 * 1_024;
/** Where pino's numbers of levels begin to be bad news. */
const WARN = 40;

/**
 * Opens a destination at a file descriptor, which stays open.
 *
 * Lines below warn are gathered; one at warn or above is written at once, with all before it. What is gathered is
 * written when the process exits, also by an error that nobody caught. So kill -9, or a crash of Node itself, loses
 * the last 100 ms below warn, and nothing else.
 *
 * Writes are synchronous. An asynchronous one would be under way at times, and a line of warn that does not wait for
 * it could overtake it, and an exit lose what it left. Gathered, they are few enough not to matter, and a reader that
 * stands still holds the server instead of filling its memory.
 *
 * @param isGathered else each line is written by itself, for who looks on
 * @param toLine makes what is written of a line of JSON
 */
export function openLogDestination(
  fd: number,
  { isGathered, toLine = (json) => json }: { isGathered: boolean; toLine?: ((json: string) => string) | undefined },
): LogDestination {
  const gathering = { minLength: BUFFER_BYTES, periodicFlush: FLUSH_MS };
  const out = pino.destination({ dest: fd, sync: true, maxLength: BACKLOG_BYTES_MAX, ...(isGathered && gathering) });
  // A log that cannot be written is no reason to stop serving. What is kept is tried again with the next line.
  out.on("error", () => {});
  // Synchronous, it writes there and then, and does not wait for the disk, as flushSync does: to outlive the process
  // it is enough that the system has it.
  const flush = () => out.flush();
  process.on("exit", flush);
  const destination = {
    // pino then says of each line what its level is.
    [Symbol.for("pino.metadata")]: true,
    lastLevel: 0,
    write(json: string) {
      out.write(toLine(json));
      if (destination.lastLevel >= WARN) flush();
    },
    flush,
  };
  return destination;
}
