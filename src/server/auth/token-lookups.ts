import { Overloaded } from "../../domain/errors.ts";
import type { TokenRow } from "../../store/access/tokens.ts";

/** How many tokens one statement looks up. */
const BATCH_MAX = 100;
/** How many tokens may wait. More than that are made up by an attacker. */
const WAITING_MAX = 1_000;

/** Reads tokens by their digests. */
type ReadTokens = (digests: readonly string[]) => Promise<readonly (readonly [digest: string, row: TokenRow])[]>;

/**
 * Looks up unknown tokens in the database. One statement runs at a time, for all tokens that wait, so that callers with
 * made-up tokens cannot keep the database busy.
 */
export class TokenLookups {
  readonly #read: ReadTokens;
  readonly #waiting = new Map<string, PromiseWithResolvers<TokenRow | undefined>>();
  #isRunning = false;

  constructor(read: ReadTokens) {
    this.#read = read;
  }

  /** @returns undefined: there is no such token. @throws StoreUnavailable, Overloaded */
  find(digest: string): Promise<TokenRow | undefined> {
    let found = this.#waiting.get(digest);
    if (found === undefined) {
      if (this.#waiting.size >= WAITING_MAX) throw new Overloaded("too many calls with unknown tokens");
      this.#waiting.set(digest, (found = Promise.withResolvers()));
      if (!this.#isRunning) void this.#run();
    }
    return found.promise;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.size > 0) {
      const batch = new Map([...this.#waiting].slice(0, BATCH_MAX));
      try {
        const rows = new Map(await this.#read([...batch.keys()]));
        for (const [digest, found] of batch) found.resolve(rows.get(digest));
      } catch (error) {
        for (const found of batch.values()) found.reject(error);
      }
      for (const digest of batch.keys()) this.#waiting.delete(digest);
    }
    this.#isRunning = false;
  }
}
