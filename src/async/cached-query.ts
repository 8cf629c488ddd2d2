/**
 * The answer of a query that many callers share: it is used for `maxAgeMs`, or for `ageFactor` times the query time if
 * that is longer, so that the query runs for a bounded share of the time. A failure is shared in the same way: a query
 * that failed because it took too long is not repeated at once.
 */
export class CachedQuery<Answer> {
  readonly #query: () => Promise<Answer>;
  readonly #maxAgeMs: number;
  readonly #ageFactor: number;
  readonly #clock: () => number;
  #answer: Promise<Answer> | null = null;
  /** Infinity while the query runs, or waits to run. */
  #expiresAtMs = -Infinity;

  /** @param clock in ms, never set back */
  constructor(
    query: () => Promise<Answer>,
    {
      maxAgeMs,
      ageFactor,
      clock = () => performance.now(),
    }: { maxAgeMs: number; ageFactor: number; clock?: (() => number) | undefined },
  ) {
    this.#query = query;
    this.#maxAgeMs = maxAgeMs;
    this.#ageFactor = ageFactor;
    this.#clock = clock;
  }

  /** Whether the next read runs the query. */
  get isExpired(): boolean {
    return this.#clock() >= this.#expiresAtMs;
  }

  /** Returns the shared answer. @param after the query begins when this resolves, if the query has to run */
  read(after?: Promise<void>): Promise<Answer> {
    if (this.#answer === null || this.isExpired) {
      this.#expiresAtMs = Infinity;
      this.#answer = after === undefined ? this.#run() : after.then(() => this.#run());
    }
    return this.#answer;
  }

  /** Resolves when no query runs. */
  async settled(): Promise<void> {
    await this.#answer?.catch(() => {});
  }

  async #run(): Promise<Answer> {
    const begunMs = this.#clock();
    try {
      return await this.#query();
    } finally {
      const nowMs = this.#clock();
      this.#expiresAtMs = nowMs + Math.max(this.#maxAgeMs, this.#ageFactor * (nowMs - begunMs));
    }
  }
}
