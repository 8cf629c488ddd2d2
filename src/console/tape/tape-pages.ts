import { pause } from "../../async/pause.ts";
import type { SpoolEvent } from "../../client/types.ts";

/** How many events a block has: seqs 1 to 200, 201 to 400, … */
export const BLOCK_EVENTS = 200;
/** How many answers are cached. The server limits each to 1 MiB of bodies, so this limits the memory. */
const ANSWERS_MAX = 48;
/** How many blocks are read at once. */
const READS_MAX = 2;
/** Delay before a failed read of a visible range is retried. */
const RETRY_MS = 1_000;

interface Block {
  /** Indexed by position in the block; sparse where events were not read yet. */
  readonly events: (SpoolEvent | undefined)[];
  answers: number;
}

/** Reads events from a seq in order: as many as one answer has, at most `limit`. */
export type ReadEvents = (fromSeq: number, limit: number, signal: AbortSignal) => Promise<readonly SpoolEvent[]>;

/** The visible ranges of a tape: read as they come into view, and dropped from memory some time after. */
export class TapePages implements Disposable {
  readonly #read: ReadEvents;
  readonly #onRead: () => void;
  /** By number from 0, ordered by last use. */
  readonly #blocks = new Map<number, Block>();
  readonly #reads = new Map<number, AbortController>();
  #wanted: readonly number[] = [];
  #lastSeq = 0;

  /** @param onRead called when visible events were read */
  constructor(read: ReadEvents, onRead: () => void) {
    this.#read = read;
    this.#onRead = onRead;
  }

  [Symbol.dispose](): void {
    this.#wanted = [];
    for (const read of this.#reads.values()) read.abort();
  }

  get(seq: number): SpoolEvent | undefined {
    return this.#blocks.get(blockOf(seq))?.events[placeOf(seq)];
  }

  /** Adds events from another source, in order. */
  put(events: readonly SpoolEvent[]): void {
    let number = -1;
    for (const event of events) {
      const seq = Number(event.seq);
      const isNewAnswer = blockOf(seq) !== number;
      number = blockOf(seq);
      const block = this.#blocks.get(number) ?? { events: [], answers: 0 };
      // Otherwise, on a tape that grows event by event, a block would count as many answers as events.
      if (isNewAnswer && block.answers === 0) block.answers = 1;
      block.events[placeOf(seq)] = event;
      this.#blocks.set(number, block);
    }
    this.#evict();
  }

  /** Sets the visible seqs of the tape, and reads missing ones. */
  want(firstSeq: number, finalSeq: number, lastSeq: number): void {
    this.#lastSeq = lastSeq;
    const [first, last] = [blockOf(Math.max(1, firstSeq)), blockOf(Math.min(finalSeq, lastSeq))];
    this.#wanted = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
    for (const [number, read] of this.#reads) if (!this.#wanted.includes(number)) read.abort();
    for (const number of this.#wanted) {
      const block = this.#blocks.get(number);
      if (block === undefined) continue;
      this.#blocks.delete(number);
      this.#blocks.set(number, block);
    }
    this.#readMore();
  }

  #readMore(): void {
    for (const number of this.#wanted) {
      if (this.#reads.size >= READS_MAX) return;
      const fromSeq = this.#missingFrom(number);
      if (fromSeq === null || this.#reads.has(number)) continue;
      const over = new AbortController();
      this.#reads.set(number, over);
      void this.#readBlock(number, fromSeq, over).finally(() => {
        this.#reads.delete(number);
        this.#readMore();
      });
    }
  }

  /** Reads one answer of a block. #readMore requests the next. */
  async #readBlock(number: number, fromSeq: number, over: AbortController): Promise<void> {
    const limit = (number + 1) * BLOCK_EVENTS - fromSeq + 1;
    const events = await this.#read(fromSeq, limit, over.signal).catch(() => []);
    if (events.length === 0) return pause(RETRY_MS, over.signal).catch(() => {});
    if (over.signal.aborted) return;
    const block = this.#blocks.get(number);
    this.put(events);
    if (block !== undefined) block.answers++;
    this.#onRead();
  }

  /** Returns the first missing seq of a block, up to the end of the tape; null: none. */
  #missingFrom(number: number): number | null {
    const first = number * BLOCK_EVENTS + 1;
    const length = Math.min(BLOCK_EVENTS, this.#lastSeq - first + 1);
    const events = this.#blocks.get(number)?.events ?? [];
    for (let place = 0; place < length; place++) if (events[place] === undefined) return first + place;
    return null;
  }

  #evict(): void {
    let answers = 0;
    for (const block of this.#blocks.values()) answers += block.answers;
    for (const [number, block] of this.#blocks) {
      if (answers <= ANSWERS_MAX) return;
      if (this.#wanted.includes(number)) continue;
      this.#blocks.delete(number);
      answers -= block.answers;
    }
  }
}

function blockOf(seq: number): number {
  return Math.floor((seq - 1) / BLOCK_EVENTS);
}

function placeOf(seq: number): number {
  return (seq - 1) % BLOCK_EVENTS;
}
