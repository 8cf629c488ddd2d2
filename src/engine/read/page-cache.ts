import { bytesOf } from "../../domain/event.ts";
import type { PageQuery, TapePage } from "../api/task-engine.ts";

/** A page takes this many times what its events do: who sends it keeps it encoded as long as it is kept. */
const ENCODED_TOO = 2;

/** Pages that were given to one follower, for others who come to the same position: the last ones, bounded in bytes. */
export class KeptPages {
  readonly #bytesMax: number;
  /** By what was asked for, the oldest first. */
  readonly #kept = new Map<string, { page: TapePage; bytes: number }>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  find(query: PageQuery): TapePage | undefined {
    return this.#kept.get(pageKey(query))?.page;
  }

  keep(query: PageQuery, page: TapePage): void {
    const key = pageKey(query);
    this.#drop(key);
    const bytes = ENCODED_TOO * page.events.reduce((sum, event) => sum + bytesOf(event), bytesOf({ body: "" }));
    this.#kept.set(key, { page, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}

export function pageKey({ taskId, fromSeq, limit }: PageQuery): string {
  return `${taskId} ${fromSeq} ${limit}`;
}
