import { signal } from "@preact/signals";
import { pause } from "../../async/pause.ts";
import { eventLine } from "./event-line.ts";
import type { EventLine } from "./event-line.ts";
import { matchesFilter } from "./event-filter.ts";
import type { EventFilter } from "./event-filter.ts";
import type { ReadEvents } from "./tape-pages.ts";

/** Maximum matches. The search stops at the next one, until it is told to continue. */
export const MATCHES_MAX = 5_000;
const PAGE_EVENTS = 1_000;
/** Delay before a failed read is retried. */
const RETRY_MS = 1_000;

/** Searches a tape for events that match a filter, from its start, page by page. */
export class TapeSearch implements Disposable {
  readonly matches = signal<readonly EventLine[]>([]);
  /** The last seq that was searched. */
  readonly searchedTo = signal(0);
  readonly isFull = signal(false);
  readonly filter: EventFilter;
  readonly #read: ReadEvents;
  readonly #closed = new AbortController();
  #lastSeq = 0;
  #isReading = false;

  constructor(filter: EventFilter, read: ReadEvents) {
    this.filter = filter;
    this.#read = read;
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
  }

  /** Searches up to the given last seq of the tape. */
  searchTo(lastSeq: number): void {
    this.#lastSeq = lastSeq;
    if (!this.#isReading) void this.#search();
  }

  /** Drops the matches and continues with the following events. */
  goOn(): void {
    this.matches.value = [];
    this.isFull.value = false;
    this.searchTo(this.#lastSeq);
  }

  async #search(): Promise<void> {
    this.#isReading = true;
    while (!this.isFull.peek() && this.searchedTo.peek() < this.#lastSeq && !this.#closed.signal.aborted) {
      const fromSeq = this.searchedTo.peek() + 1;
      const events = await this.#read(fromSeq, PAGE_EVENTS, this.#closed.signal).catch(() => []);
      if (events.length > 0) this.#take(events);
      else await pause(RETRY_MS, this.#closed.signal).catch(() => {});
    }
    this.#isReading = false;
  }

  #take(events: Awaited<ReturnType<ReadEvents>>): void {
    const room = MATCHES_MAX - this.matches.peek().length;
    const found = events.filter((event) => matchesFilter(event, this.filter));
    if (found.length > 0) this.matches.value = [...this.matches.peek(), ...found.slice(0, room).map(eventLine)];
    this.isFull.value = found.length > room;
    const last = found.length > room ? found[room - 1] : events.at(-1);
    if (last !== undefined) this.searchedTo.value = Number(last.seq);
  }
}
