import { bytesOf } from "../../domain/event.ts";
import type { NewEvent, TapeEvent } from "../../domain/event.ts";
import { PAGE_BYTES_MAX } from "../../domain/limits.ts";

/** How much of one tape stays in memory. A ring is trimmed to these bounds when it is over twice one of them. */
const RING_EVENTS_MAX = 4_096;
const RING_BYTES_MAX = 2 * 1024 * 1024;

/**
 * The recent events of one tape, up to its last seq and without a gap. A ring may be empty even if its tape is not.
 * Methods that change the ring return its growth in bytes.
 */
export class TapeRing {
  #events: TapeEvent[] = [];
  #bytes = 0;
  #lastSeq = 0n;

  /** The last seq of the tape, as far as known. */
  get lastSeq(): bigint {
    return this.#lastSeq;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Appends committed events past lastSeq. Events before a gap are dropped. */
  append(firstSeq: bigint, events: readonly NewEvent[], time: Date): number {
    const before = this.#bytes;
    if (firstSeq !== this.#lastSeq + 1n) this.drop();
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      this.#events.push({ seq: firstSeq + BigInt(index), time, type: event.type, body: event.body });
      this.#bytes += bytesOf(event);
    }
    this.#lastSeq = firstSeq + BigInt(events.length) - 1n;
    return this.#bytes - before;
  }

  /** Moves to a later lastSeq and drops the events, because the events between are not known. */
  skipTo(lastSeq: bigint): number {
    this.#lastSeq = lastSeq;
    return this.drop();
  }

  drop(): number {
    const freed = this.#bytes;
    this.#events = [];
    this.#bytes = 0;
    return -freed;
  }

  /** Drops the oldest events of a ring that has become too long. */
  trim(): number {
    const events = this.#events;
    if (events.length <= 2 * RING_EVENTS_MAX && this.#bytes <= 2 * RING_BYTES_MAX) return 0;
    let first = events.length;
    let bytes = 0;
    for (; first > 0 && events.length - first < RING_EVENTS_MAX && bytes < RING_BYTES_MAX; first--) {
      bytes += bytesOf(events[first - 1]!);
    }
    events.splice(0, first);
    const grown = bytes - this.#bytes;
    this.#bytes = bytes;
    return grown;
  }

  /** Returns the events of one page, none past the end of the tape; null if the ring does not reach back so far. */
  slice(fromSeq: bigint, limit: number): TapeEvent[] | null {
    if (fromSeq > this.#lastSeq) return [];
    const events = this.#events;
    const start = events.length - 1 - Number(this.#lastSeq - fromSeq);
    if (start < 0) return null;
    let end = start;
    for (let bytes = 0; end < events.length && end - start < limit && bytes < PAGE_BYTES_MAX; end++) {
      bytes += events[end]!.body.length;
    }
    return events.slice(start, end);
  }
}
