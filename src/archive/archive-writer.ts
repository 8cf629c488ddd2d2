import { ignoreRejection } from "../domain/ignore-rejection.ts";
import { compressFrame } from "./zstd-frames.ts";

/** After so many characters, a frame is written. */
const FRAME_CHARS = 1024 * 1024;

/**
 * Writes lines, in zstd frames of about 1 MiB or as they are. A frame ends with a line. One frame is compressed and
 * written while the next one fills.
 */
export class ArchiveWriter {
  readonly #write: (bytes: Buffer) => Promise<void>;
  readonly #isCompressed: boolean;
  #text = "";
  #writing: Promise<void> = Promise.resolve();

  /** @param write appends bytes to the file */
  constructor(write: (bytes: Buffer) => Promise<void>, { isCompressed }: { isCompressed: boolean }) {
    this.#write = write;
    this.#isCompressed = isCompressed;
  }

  /** Adds whole lines. Waits while the frame before is written. */
  async add(lines: string): Promise<void> {
    this.#text += lines;
    if (this.#text.length >= FRAME_CHARS) await this.#endFrame();
  }

  /** Writes all lines so far. */
  async flush(): Promise<void> {
    await this.#endFrame();
    await this.#writing;
  }

  async #endFrame(): Promise<void> {
    if (this.#text === "") return;
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    const compressed = this.#isCompressed ? ignoreRejection(compressFrame(bytes)) : bytes;
    await this.#writing;
    this.#writing = ignoreRejection(Promise.resolve(compressed).then((written) => this.#write(written)));
  }
}
