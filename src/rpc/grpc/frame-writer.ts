import { abortable } from "../../async/abort.ts";
import type { StreamCall } from "./open-call.ts";

/** Writes frames no faster than the peer reads them. The bytes that wait in memory are bounded. */
export class FrameWriter {
  readonly #call: StreamCall;
  readonly #aheadMax: number;
  readonly #signal: AbortSignal;
  #aheadBytes = 0;
  #wake: (() => void) | undefined;

  constructor(call: StreamCall, { aheadMax, signal }: { aheadMax: number; signal: AbortSignal }) {
    this.#call = call;
    this.#aheadMax = aheadMax;
    this.#signal = signal;
  }

  /**
   * Resolves when there is room for the next frame. The stream's own limit counts messages: it would buffer sixteen
   * frames of megabytes for a reader that has stopped.
   *
   * @throws the signal's reason, if that fires first
   */
  async write(frame: Buffer): Promise<void> {
    this.#aheadBytes += frame.byteLength;
    this.#call.write(frame, () => {
      this.#aheadBytes -= frame.byteLength;
      if (this.#aheadBytes < this.#aheadMax) this.#wake?.();
    });
    if (this.#aheadBytes >= this.#aheadMax) await this.#room();
  }

  #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return abortable(promise, this.#signal);
  }
}
