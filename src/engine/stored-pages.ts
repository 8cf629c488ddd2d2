import { isTerminal } from "../domain/task.ts";
import type { StoredPage } from "../store/event-queries.ts";
import { bytesOf } from "./feed.ts";
import type { Feed } from "./feed.ts";
import type { PageQuery, TapePage } from "./task-engine.ts";

/** What the pages that are kept for others may take. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Where pages are read from, each of one snapshot. @throws TaskNotFound, StoreUnavailable */
export type ReadStore = (query: PageQuery) => Promise<StoredPage>;

interface Reading {
  number: number;
  page: Promise<TapePage>;
  /** What it takes, once it is there and kept; 0 before. */
  bytes: number;
}

/**
 * Pages of tapes as the store has them. What several followers of one tape need at the same position is read once: they
 * are given the very same page, so that whoever encodes it may do so once for all.
 *
 * A page that somebody else began to read earlier shows the task as it was then. It is given only where that cannot
 * matter: there are more events behind it, so whoever takes it reads on, and it is not older than what they have seen;
 * or it is the end of a tape that has ended.
 */
export class StoredPages {
  readonly #feed: Feed;
  readonly #readStore: ReadStore;
  /** By what was asked for: those that are being read, and those that were, the oldest first. */
  readonly #kept = new Map<string, Reading>();
  #bytes = 0;
  /** How many reads have begun. */
  #begun = 0;

  constructor({ feed, readStore }: { feed: Feed; readStore: ReadStore }) {
    this.#feed = feed;
    this.#readStore = readStore;
  }

  /**
   * @param seenSeq the last_seq that the reader has been told of: nothing older is given
   * @throws TaskNotFound, StoreUnavailable
   */
  async read(query: PageQuery, seenSeq: bigint): Promise<TapePage> {
    if (!this.#feed.isShared(query.taskId)) return this.#readFresh(query);
    const key = `${query.taskId} ${query.fromSeq} ${query.limit}`;
    const arrival = this.#begun;
    for (let reading = this.#kept.get(key); reading !== undefined; reading = this.#kept.get(key)) {
      const page = await reading.page;
      const isFresh = reading.number > arrival; // It began after this reader had subscribed.
      if (isFresh || (isGoodForAll(page) && page.lastSeq >= seenSeq)) return page;
      if (this.#kept.get(key) === reading) break;
    }
    return this.#readFor(key, query);
  }

  async #readFor(key: string, query: PageQuery): Promise<TapePage> {
    this.#forget(key);
    const reading: Reading = { number: ++this.#begun, page: this.#readFresh(query), bytes: 0 };
    this.#kept.set(key, reading);
    try {
      const page = await reading.page;
      if (this.#kept.get(key) === reading && isGoodForAll(page)) this.#keep(key, reading, page);
      return page;
    } finally {
      if (this.#kept.get(key) === reading && reading.bytes === 0) this.#kept.delete(key);
    }
  }

  async #readFresh(query: PageQuery): Promise<TapePage> {
    const { taskId, status, lastSeq, events } = await this.#readStore(query);
    this.#feed.observe({ taskId, status, lastSeq });
    const nextFromSeq = (events.at(-1)?.seq ?? query.fromSeq - 1n) + 1n;
    return { taskId, status, events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
  }

  #keep(key: string, reading: Reading, { events }: TapePage): void {
    reading.bytes = events.reduce((sum, event) => sum + bytesOf(event), 1);
    this.#bytes += reading.bytes;
    this.#kept.delete(key);
    this.#kept.set(key, reading); // As the newest.
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= KEPT_BYTES_MAX) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}

function isGoodForAll({ hasMore, status }: TapePage): boolean {
  return hasMore || isTerminal(status);
}
