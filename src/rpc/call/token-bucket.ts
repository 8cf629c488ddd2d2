/** Limits a rate: holds the tokens of one second, and at least one, and is refilled all the time. */
export class TokenBucket {
  readonly perSecond: number;
  readonly #size: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** @param now a clock in milliseconds, never set back */
  constructor(perSecond: number, now: () => number) {
    this.perSecond = perSecond;
    this.#size = Math.max(1, perSecond);
    this.#now = now;
    this.#tokens = this.#size;
    this.#filledAt = now();
  }

  /** How long until there is a token, in ms. 0: there is one now. */
  get waitMs(): number {
    this.#fill();
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.perSecond) * 1_000);
  }

  take(): void {
    this.#tokens--;
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#filledAt) / 1_000) * this.perSecond);
    this.#filledAt = now;
  }
}
