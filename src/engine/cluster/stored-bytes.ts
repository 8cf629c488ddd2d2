import type { Kysely } from "kysely";
import { CachedQuery } from "../../async/cached-query.ts";
import { estimateStoredBytes } from "../../store/reports/namespace-usage.ts";
import type { Database } from "../../store/schema.ts";

/** How long an estimate is cached: sizes change slowly. */
const CACHE_MS = 60_000;
const CACHE_FACTOR = 9;

/** Estimates of the bytes that namespaces take in the database, for all engines of a process together. */
export class StoredBytes {
  readonly #estimate: CachedQuery<ReadonlyMap<string, number>>;

  constructor(db: Kysely<Database>) {
    this.#estimate = new CachedQuery(() => estimateStoredBytes(db), { maxAgeMs: CACHE_MS, ageFactor: CACHE_FACTOR });
  }

  /** Returns the bytes of each namespace, at most a minute old. @throws StoreUnavailable, errors of time limits */
  read(): Promise<ReadonlyMap<string, number>> {
    return this.#estimate.read();
  }
}
