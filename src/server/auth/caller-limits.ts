import { LRUCache } from "lru-cache";
import type { Limits } from "../../domain/tenant-limits.ts";

/** How many callers of an entry are remembered. The starts and streams of one that was forgotten count from 0 again. */
const CALLERS_MAX = 10_000;

/**
 * The limits of callers that share an entry of the access file, as those of one issuer do. Each caller has the limits of
 * the entry for itself, whatever its credential is at the moment.
 */
export class CallerLimits {
  readonly #known = new WeakMap<Limits, LRUCache<string, Limits>>();

  /** @returns for one entry and name, always the same object */
  of(ofEntry: Limits, name: string): Limits {
    if (Object.keys(ofEntry).length === 0) return ofEntry;
    let callers = this.#known.get(ofEntry);
    if (callers === undefined) {
      callers = new LRUCache({ max: CALLERS_MAX });
      this.#known.set(ofEntry, callers);
    }
    let limits = callers.get(name);
    if (limits === undefined) {
      limits = { ...ofEntry };
      callers.set(name, limits);
    }
    return limits;
  }
}
