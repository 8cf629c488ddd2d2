import { writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Buffered lines are written at this size. */
const BUFFER_CHARS = 16_384;
/** Buffered lines are written after this time. */
const BUFFER_MS = 100;
/** When a failed write is retried. `busy`: the pipe is full. `broken`: the reader is gone, or the disk is full. */
const RETRY_MS = { busy: 10, broken: 1_000 } as const;
/** How many bytes may wait to be written. Further lines are dropped. */
const BACKLOG_BYTES_MAX = 4 * 1_024 * 1_024;
/** How long an exit waits for a reader that does not read. */
const EXIT_STALL_MS = 1_000;
/** With this property set, pino reports the level of each line. */
const METADATA: unique symbol = Symbol.for("pino.metadata");
/** Pino's number of the level warn. */
const WARN = 40;

interface LogDestinationOptions {
  /** Whether lines are buffered. Otherwise each line is written at once, as on a terminal. */
  isBuffered: boolean;
  /** Formats a line of JSON for output. */
  toLine?: ((json: string) => string) | undefined;
}

/**
 * Writes the lines of a log to a file descriptor, in order. Lines below warn are buffered. A line at warn or above is
 * written at once, after the buffered lines. An exit writes the rest, also after an uncaught error. So kill -9 or a crash
 * of Node loses at most the last 100 ms below warn.
 *
 * A write that cannot complete is retried later. It never blocks the server, even if the reader is gone or the disk is
 * full. Writes are synchronous: an asynchronous write could be overtaken, or cut off by an exit. Buffered writes are
 * rare enough to be cheap. Pino's own destination blocks the process for 100 ms when a pipe is full; its asynchronous
 * mode can reorder and lose lines.
 */
export class LogDestination implements DestinationStream {
  readonly [METADATA] = true;
  lastLevel = 0;
  readonly #fd: number;
  readonly #isBuffered: boolean;
  readonly #toLine: (json: string) => string;
  #buffered = "";
  /** The chunks to write, oldest first. The first may be the remainder of a partial write. */
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  /** Called with the number of dropped lines once there is room again. */
  onLost: (lines: number) => void = () => {};

  constructor(fd: number, { isBuffered, toLine = (json) => json }: LogDestinationOptions) {
    this.#fd = fd;
    this.#isBuffered = isBuffered;
    this.#toLine = toLine;
    process.on("exit", () => this.#drain());
  }

  write(json: string): void {
    if (this.#bytes + this.#buffered.length >= BACKLOG_BYTES_MAX) this.#lost++;
    else this.#buffered += this.#toLine(json);
    const isDue = !this.#isBuffered || this.lastLevel >= WARN || this.#buffered.length >= BUFFER_CHARS;
    if (isDue) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), BUFFER_MS).unref();
  }

  /** Writes as much as possible now and retries the rest later. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const state = this.#writeChunks();
    if (state !== "written") {
      this.#timer = setTimeout(() => this.flush(), RETRY_MS[state]).unref();
    } else if (this.#lost > 0) {
      const lines = this.#lost;
      this.#lost = 0;
      this.onLost(lines);
    }
  }

  #writeChunks(): "written" | keyof typeof RETRY_MS {
    if (this.#buffered !== "") {
      const chunk = Buffer.from(this.#buffered);
      this.#buffered = "";
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
    }
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      try {
        const written = writeSync(this.#fd, chunk);
        this.#bytes -= written;
        if (written < chunk.length) this.#chunks.unshift(chunk.subarray(written));
      } catch (error) {
        this.#chunks.unshift(chunk);
        return (error as NodeJS.ErrnoException).code === "EAGAIN" ? "busy" : "broken";
      }
    }
    return "written";
  }

  /** Writes the rest at exit. Blocks while the reader makes progress: no other code runs any more. */
  #drain(): void {
    const clock = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    let stalledMs = 0;
    let left = Infinity;
    while (this.#writeChunks() === "busy" && stalledMs < EXIT_STALL_MS) {
      stalledMs = this.#bytes < left ? 0 : stalledMs + 1;
      left = this.#bytes;
      Atomics.wait(clock, 0, 0, 1);
    }
  }
}
