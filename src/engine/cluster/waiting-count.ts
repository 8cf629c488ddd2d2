import { CachedQuery } from "../../async/cached-query.ts";

/** How long a count is used. */
export const COUNT_MS = 1_000;
/** A count is used for this many times its query time if that is longer. */
export const COUNT_FACTOR = 9;

/**
 * How many tasks wait, of those that one limit counts. They are counted in the database about once a second, and up to
 * the limit. This process adds its own starts since then, so one server keeps to a limit, and several servers may exceed
 * it by their starts of one second.
 */
export class WaitingCount {
  readonly #query: CachedQuery<number>;
  #max = 0;
  /** The waiting tasks at the last count, and those of this process's starts since the count began. */
  #counted = 0;
  #since = 0;

  /** @param count counts the waiting tasks, up to max */
  constructor(count: (max: number) => Promise<number>) {
    this.#query = new CachedQuery(
      () => {
        this.#since = 0;
        return count(this.#max);
      },
      { maxAgeMs: COUNT_MS, ageFactor: COUNT_FACTOR },
    );
  }

  /** Counts again if the last count is too old. @throws StoreUnavailable */
  async refresh(max: number): Promise<void> {
    this.#max = max;
    this.#counted = await this.#query.read();
  }

  get total(): number {
    return this.#counted + this.#since;
  }

  /** Counts a start of this process. */
  add(): void {
    this.#since++;
  }
}
