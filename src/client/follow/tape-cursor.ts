import { brokenPromise } from "../../codec/rpc-error.ts";
import type { FinalEvent, SpoolEvent } from "../types.ts";

/**
 * The position of a reader on one tape. Checks what the server promises: seqs are 1, 2, 3, … without gap, repeat or
 * reordering, and `final` is the last event. A folded event stands for several seqs. Any violation is an error and is never passed on.
 */
export class TapeCursor {
  readonly #taskId: string;
  #nextSeq: bigint;
  #final: FinalEvent | null = null;
  #read = 0;

  /** @param fromSeq the first seq to read; 0n means 1n */
  constructor(taskId: string, fromSeq: bigint) {
    this.#taskId = taskId;
    this.#nextSeq = fromSeq === 0n ? 1n : fromSeq;
  }

  /** The next seq to read. */
  get nextSeq(): bigint {
    return this.#nextSeq;
  }

  get final(): FinalEvent | null {
    return this.#final;
  }

  /** How many events were read. */
  get read(): number {
    return this.#read;
  }

  /**
   * Moves past the events of a frame. @param lastSeq the last seq of the tape when the frame was made @throws DATA_LOSS
   */
  take(events: readonly SpoolEvent[], lastSeq: bigint): void {
    for (const event of events) {
      if (this.#final) throw this.broken(`event ${event.seq} comes after final, which is ${this.#final.seq}`);
      const first = event.type === "folded" ? event.firstSeq : event.seq;
      if (first !== this.#nextSeq || event.seq < first) {
        const fault = first < this.#nextSeq ? "repeats" : "skips to";
        throw this.broken(`the server ${fault} event ${first} where ${this.#nextSeq} is next`);
      }
      this.#nextSeq = event.seq + 1n;
      this.#read++;
      if (event.type === "final") this.#final = event;
    }
    if (this.#final && lastSeq > this.#final.seq) {
      throw this.broken(`final is event ${this.#final.seq}, yet the last event is ${lastSeq}`);
    }
  }

  broken(fault: string): Error {
    return brokenPromise(`the tape of task ${this.#taskId} is broken: ${fault}`);
  }
}
