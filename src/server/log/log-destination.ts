import { writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** What is gathered is written when it is so much. */
const GATHERED_CHARS = 16_384;
/** And when it has waited for so long. */
const GATHER_MS = 100;
/** How soon it is tried again: where a reader has no room, and where there is no reader, or no room on a disk. */
const RETRY_MS = { busy: 10, broken: 1_000 } as const;
/** What waits for a reader, or for room on a disk. Lines that come then are lost. */
const BACKLOG_BYTES_MAX = 4 * 1_024 * 1_024;
/** How long an exit waits for a reader that takes nothing. */
const EXIT_STALL_MS = 1_000;
/** By it pino is asked to say of each line what its level is. */
const METADATA: unique symbol = Symbol.for("pino.metadata");
/** Where pino's numbers of levels begin to be bad news. */
const WARN = 40;

interface LogDestinationOptions {
  /** Else each line is written by itself, for who looks on. */
  isGathered: boolean;
  /** Makes what is written of a line of JSON. */
  toLine?: ((json: string) => string) | undefined;
}

/**
 * Writes the lines of a log to a file descriptor, in their order. Lines below warn are gathered, one at warn or above
 * is written at once with all before it, and an exit writes what is left, also one by an error that nobody caught. So
 * kill -9, or a crash of Node itself, loses the last 100 ms below warn and nothing else.
 *
 * A write that has to wait waits by itself: the server goes on, also where nobody reads, or the disk is full. Writes
 * are synchronous all the same, for one that is under way could be overtaken, or cut off by an exit. Gathered, they are
 * few enough not to matter. pino's own destination is not used because it stops the process for 100 ms whenever a pipe
 * is full, or, asynchronous, has both faults.
 */
export class LogDestination implements DestinationStream {
  readonly [METADATA] = true;
  lastLevel = 0;
  readonly #fd: number;
  readonly #isGathered: boolean;
  readonly #toLine: (json: string) => string;
  #gathered = "";
  /** What is to be written, oldest first; the first may be the rest of one. */
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  /** Told how many lines were lost, once there is room again. */
  onLost: (lines: number) => void = () => {};

  constructor(fd: number, { isGathered, toLine = (json) => json }: LogDestinationOptions) {
    this.#fd = fd;
    this.#isGathered = isGathered;
    this.#toLine = toLine;
    process.on("exit", () => this.#drain());
  }

  write(json: string): void {
    if (this.#bytes + this.#gathered.length >= BACKLOG_BYTES_MAX) this.#lost++;
    else this.#gathered += this.#toLine(json);
    const isDue = !this.#isGathered || this.lastLevel >= WARN || this.#gathered.length >= GATHERED_CHARS;
    if (isDue) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  /** Writes what waits, as far as there is room for it; the rest is tried again. */
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
    if (this.#gathered !== "") {
      const chunk = Buffer.from(this.#gathered);
      this.#gathered = "";
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

  /** Nothing else runs any more: it waits here, for as long as something is taken. */
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
