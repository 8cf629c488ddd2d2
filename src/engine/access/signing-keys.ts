import { LRUCache } from "lru-cache";
import { ignoreRejection } from "../../domain/ignore-rejection.ts";
import { readSigningKeys, renewSigningKeys } from "../../store/access/signing-keys.ts";
import type { SigningKeyRow } from "../../store/access/signing-keys.ts";
import type { Store } from "../../store/database.ts";

/** How long the keys are cached before the next use reads them again. A deleted key is refused after this time. */
const CACHED_MS = 60_000;
const UNKNOWN_MAX = 1_000;

export type SigningKey = Pick<SigningKeyRow, "keyId" | "secret">;

/**
 * The keys that sign tokens for single tasks. All servers share the keys of the database. The first server that needs a
 * key makes one, and again every 30 days.
 */
export class SigningKeys {
  readonly #db: Store["priorityDb"];
  #keys: ReadonlyMap<string, SigningKeyRow> = new Map();
  #readAtMs = -Infinity;
  /** The read in progress, and the read after it. */
  #reading: Promise<void> | null = null;
  #nextReading: Promise<void> | null = null;
  /** Key ids that were looked up in vain, of made-up tokens. */
  readonly #unknown = new LRUCache<string, true>({ max: UNKNOWN_MAX, ttl: CACHED_MS });

  constructor({ priorityDb }: Pick<Store, "priorityDb">) {
    this.#db = priorityDb;
  }

  /** Returns a cached key, without waiting. While the database is down, keys stay cached. */
  find(keyId: string): SigningKey | undefined {
    if (this.#isOld() && this.#reading === null) {
      this.#readAtMs = performance.now(); // A failed read is not repeated by each call.
      void ignoreRejection(this.#read());
    }
    return this.#keys.get(keyId);
  }

  /** Looks up a key that is not cached, because another server has just made it. @throws StoreUnavailable */
  async lookUp(keyId: string): Promise<SigningKey | undefined> {
    if (this.#unknown.has(keyId)) return undefined;
    await this.#readAgain();
    const found = this.#keys.get(keyId);
    if (found === undefined) this.#unknown.set(keyId, true);
    return found;
  }

  /** Returns the key for a new token. @throws StoreUnavailable */
  async forSigning(): Promise<SigningKey> {
    if (this.#isOld()) await this.#readAgain();
    if (this.#newest() === undefined) {
      await renewSigningKeys(this.#db);
      await this.#readAgain();
    }
    return this.#newest()!;
  }

  #newest(): SigningKeyRow | undefined {
    const [newest] = this.#keys.values();
    return newest?.isNew ? newest : undefined;
  }

  #isOld(): boolean {
    return performance.now() - this.#readAtMs > CACHED_MS;
  }

  /** Resolves after a read that begins after this call. All who wait share one read. */
  async #readAgain(): Promise<void> {
    if (this.#reading === null) return this.#read();
    this.#nextReading ??= this.#readNext(this.#reading);
    return this.#nextReading;
  }

  async #readNext(current: Promise<void>): Promise<void> {
    await current.catch(() => {});
    this.#nextReading = null;
    return this.#read();
  }

  #read(): Promise<void> {
    this.#reading = this.#readKeys().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #readKeys(): Promise<void> {
    const rows = await readSigningKeys(this.#db);
    this.#keys = new Map(rows.map((row) => [row.keyId, row]));
    this.#readAtMs = performance.now();
  }
}
