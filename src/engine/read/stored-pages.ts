import type { StoredPage } from "../../store/tapes/event-queries.ts";
import type { Feed } from "./feed.ts";
import { PageCache, pageKey } from "./page-cache.ts";
import { isReusable } from "./page-freshness.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";
import type { EngineGauges } from "../api/engine-observer.ts";

/** Bound of the pages that are cached for other followers, in bytes. */
const CACHE_BYTES_MAX = 16 * 1024 * 1024;

/** Reads a page from one snapshot of the store. @throws TaskNotFound, StoreUnavailable */
export type ReadStore = (query: PageQuery) => Promise<StoredPage>;

interface Reading {
  number: number;
  page: Promise<TapePage>;
}

/**
 * Pages of tapes, read from the store. A page that several followers of one tape need at the same position is read
 * once. They get the very same page object, so that it is encoded only once.
 *
 * A page whose read began before a follower's call shows the task as it was then. `isReusable` decides whether the
 * follower may get that page.
 */
export class StoredPages {
  readonly #feed: Feed;
  readonly #readStore: ReadStore;
  readonly #cache = new PageCache(CACHE_BYTES_MAX);
  readonly #reading = new Map<string, Reading>();
  /** How many reads have begun. */
  #begun = 0;
  /** How many pages were read, and how many times a page was shared with another reader. */
  #read = 0;
  #shared = 0;

  constructor({ feed, readStore }: { feed: Feed; readStore: ReadStore }) {
    this.#feed = feed;
    this.#readStore = readStore;
  }

  /**
   * Returns a page from the store, or one that was read for another follower.
   *
   * @param seenSeq the last_seq that the reader has seen or must see: no older page is returned. If it is beyond every
   *   seq, only a page whose read began after this call is returned
   * @throws TaskNotFound, StoreUnavailable
   */
  async read(query: PageQuery, seenSeq: bigint): Promise<TapePage> {
    if (!this.#feed.isShared(query.taskId)) return this.#readFresh(query);
    const cached = this.#cache.find(query);
    if (cached !== undefined && isReusable(cached, seenSeq)) return this.#share(cached);
    const key = pageKey(query);
    const arrival = this.#begun;
    for (let reading = this.#reading.get(key); reading !== undefined; reading = this.#reading.get(key)) {
      const page = await reading.page;
      const isFresh = reading.number > arrival; // Its read began after this call.
      if (isFresh || isReusable(page, seenSeq)) return this.#share(page);
    }
    return this.#readFor(key, query);
  }

  gauges(): Pick<EngineGauges, "cachedPages" | "storePages"> {
    return { cachedPages: this.#shared, storePages: this.#read };
  }

  #share(page: TapePage): TapePage {
    this.#shared++;
    return page;
  }

  async #readFor(key: string, query: PageQuery): Promise<TapePage> {
    const reading: Reading = { number: ++this.#begun, page: this.#readFresh(query) };
    this.#reading.set(key, reading);
    try {
      const page = await reading.page;
      if (isReusable(page, page.lastSeq)) this.#cache.add(query, page);
      return page;
    } finally {
      this.#reading.delete(key);
    }
  }

  async #readFresh(query: PageQuery): Promise<TapePage> {
    this.#read++;
    const { taskId, status, lastSeq, events } = await this.#readStore(query);
    this.#feed.observe({ taskId, status, lastSeq });
    const nextFromSeq = (events.at(-1)?.seq ?? query.fromSeq - 1n) + 1n;
    return { taskId, status, events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
  }
}
