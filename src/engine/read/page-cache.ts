import { LRUCache } from "lru-cache";
import { bytesOf } from "../../domain/event.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";

/** The sender of a page keeps the page encoded for as long as the page is cached: it takes twice its events' bytes. */
const ENCODED_FACTOR = 2;

/** Pages that were given to one follower, for others at the same position: those used last, bounded in bytes. */
export class PageCache {
  readonly #pages: LRUCache<string, TapePage>;

  constructor(bytesMax: number) {
    this.#pages = new LRUCache({ maxSize: bytesMax, sizeCalculation: cachedBytes });
  }

  find(query: PageQuery): TapePage | undefined {
    return this.#pages.get(pageKey(query));
  }

  add(query: PageQuery, page: TapePage): void {
    this.#pages.set(pageKey(query), page);
  }
}

export function pageKey({ taskId, fromSeq, limit }: PageQuery): string {
  return `${taskId} ${fromSeq} ${limit}`;
}

function cachedBytes({ events }: TapePage): number {
  return ENCODED_FACTOR * events.reduce((sum, event) => sum + bytesOf(event), bytesOf({ body: "" }));
}
