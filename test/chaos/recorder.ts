import { closeSync, createReadStream, createWriteStream, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { HistoryLine } from "./history.ts";
import { machineMs } from "./workload/attempt-notes.ts";

type Unstamped<Line> = Line extends HistoryLine ? Omit<Line, "at"> : never;

/** Writes what one process saw of a run. Each line is in the file when the call returns, and so survives a kill. */
export class Recorder implements Disposable {
  /** The machine's monotonic clock at the start of the run, in ms. */
  readonly originMs: number;
  readonly #file: number;
  #calls = 0;

  /** @param originMs as that of the first process of the run; default: the run starts now */
  constructor(path: string, originMs = machineMs()) {
    this.originMs = originMs;
    this.#file = openSync(path, "a");
  }

  /** Returns the time since the start of the run, in ms. */
  now(): number {
    return machineMs() - this.originMs;
  }

  nextCall(): number {
    return ++this.#calls;
  }

  /** Writes a line, with the time of now. */
  write(line: Unstamped<HistoryLine>): void {
    this.add({ at: Math.round(this.now() * 1_000) / 1_000, ...line } as HistoryLine);
  }

  /** Writes a line that has its own time. */
  add(line: HistoryLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** Reads a whole history. Leaves out half a last line, as a process that was killed may leave one. */
export async function readHistory(path: string): Promise<HistoryLine[]> {
  const lines: HistoryLine[] = [];
  let last: string | null = null;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (last !== null) lines.push(JSON.parse(last) as HistoryLine);
    last = line;
  }
  try {
    if (last !== null) lines.push(JSON.parse(last) as HistoryLine);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return lines;
}

export async function writeHistory(path: string, lines: Iterable<HistoryLine>): Promise<void> {
  const texts = function* () {
    for (const line of lines) yield `${JSON.stringify(line)}\n`;
  };
  await pipeline(Readable.from(texts()), createWriteStream(path));
}
