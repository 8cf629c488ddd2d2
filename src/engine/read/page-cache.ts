import { LRUCache } from "lru-cache";
import { bytesOf } from "../../domain/event.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";

/** A cached page takes twice the bytes of its events, because its sender caches the encoded page with it. */
const ENCODED_FACTOR = 2;

/** A cache of pages, for other followers at the same position: the most recently used ones, bounded in bytes. */
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
