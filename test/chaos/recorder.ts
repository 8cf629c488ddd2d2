import { createWriteStream } from "node:fs";
import type { WriteStream } from "node:fs";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { HistoryLine } from "./history.ts";
import { machineMs } from "./workload/attempt-notes.ts";

type Unstamped<Line> = Line extends HistoryLine ? Omit<Line, "at"> : never;

/** Writes the history of a run, and knows the tasks that it names. */
export class Recorder implements AsyncDisposable {
  /** The machine's monotonic clock at the start of the run, in ms. */
  readonly originMs = machineMs();
  readonly #file: WriteStream;
  /** The namespace of every task that any answer named. */
  readonly tasks = new Map<string, string>();
  #calls = 0;
  lines = 0;

  constructor(path: string) {
    this.#file = createWriteStream(path);
  }

  /** Returns the time since the start of the run, in ms. */
  now(): number {
    return machineMs() - this.originMs;
  }

  nextCall(): number {
    return ++this.#calls;
  }

  /** Notes that an answer named a task. */
  name(taskId: string, namespace: string): void {
    if (!this.tasks.has(taskId)) this.tasks.set(taskId, namespace);
  }

  /** Writes a line, with the time of now. */
  write(line: Unstamped<HistoryLine>): void {
    this.add({ at: Math.round(this.now() * 1_000) / 1_000, ...line } as HistoryLine);
  }

  /** Writes a line that has its own time. */
  add(line: HistoryLine): void {
    this.lines++;
    this.#file.write(`${JSON.stringify(line)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#file.end();
    await once(this.#file, "close");
  }
}

/** Reads a whole history. */
export async function readHistory(path: string): Promise<HistoryLine[]> {
  const lines: HistoryLine[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    lines.push(JSON.parse(line) as HistoryLine);
  }
  return lines;
}
