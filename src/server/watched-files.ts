import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { Loop } from "../async/loop.ts";

const POLL_MS = 2_000;

/**
 * Reads files, and polls their content. Polling also sees what a notification of the file system misses: files on network
 * volumes, and links that are replaced, such as those of Kubernetes.
 */
export class WatchedFiles implements AsyncDisposable {
  readonly #paths: readonly string[];
  readonly #onChange: (contents: readonly Buffer[]) => void | Promise<void>;
  readonly #log: Logger;
  readonly #polls: Loop;
  #contents: readonly Buffer[] | null = null;
  /** The last problem that was logged, so that it is logged once. */
  #problem: string | null = null;

  /**
   * @param name of the files, for log lines
   * @param onChange is called when the content of a file has changed. If it throws, it is not called again until the next
   *   change
   * @param everyMs how often the files are read
   */
  constructor({
    name,
    paths,
    onChange,
    everyMs = POLL_MS,
    log,
  }: {
    name: string;
    paths: readonly string[];
    onChange: (contents: readonly Buffer[]) => void | Promise<void>;
    everyMs?: number;
    log: Logger;
  }) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#log = log.child({ files: name });
    this.#polls = new Loop({ name, everyMs, log, turn: () => this.#poll() });
  }

  /** Reads the files for the first time. @throws what reading and `onChange` throw */
  async read(): Promise<void> {
    const contents = await this.#readAll();
    this.#contents = contents;
    await this.#onChange(contents);
  }

  /** Polls from now on. */
  start(): void {
    this.#polls.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#polls.stop();
  }

  async #poll(): Promise<void> {
    try {
      const contents = await this.#readAll();
      if (this.#contents !== null && contents.every((content, index) => content.equals(this.#contents![index]!)))
        return;
      this.#contents = contents;
      await this.#onChange(contents);
      this.#problem = null;
      this.#log.info("files: changed, taken over");
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem) this.#log.error({ err: error }, "files: not taken over, the content before stays");
      this.#problem = message;
    }
  }

  #readAll(): Promise<Buffer[]> {
    return Promise.all(this.#paths.map((path) => readFile(path)));
  }
}
