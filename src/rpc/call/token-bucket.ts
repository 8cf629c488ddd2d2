/** A token that is refilled in many steps may lack this share, by rounding. */
const ROUNDING = 1e-9;
/** The longest time that a refused caller is told to wait. Callers past it share the time out from its beginning. */
const RETURN_MS_MAX = 10_000;

/** Limits a rate: holds the tokens of one second, and at least one, and is refilled all the time. */
export class TokenBucket {
  readonly perSecond: number;
  readonly #size: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;
  /** When the last of the refused callers was told to come back. */
  #lastReturnAt = 0;

  /** @param now a clock in milliseconds, never set back */
  constructor(perSecond: number, now: () => number) {
    this.perSecond = perSecond;
    this.#size = Math.max(1, perSecond);
    this.#now = now;
    this.#tokens = this.#size;
    this.#filledAt = now();
  }

  get hasToken(): boolean {
    this.#fill();
    return this.#tokens >= 1 - ROUNDING;
  }

  take(): void {
    this.#tokens--;
  }

  /**
   * Returns when a refused caller is to come back, in ms from now. Each caller gets the time of another token. Without
   * that, all refused callers come back for the next token together, and all but one in vain. No token is reserved.
   */
  nextReturnMs(): number {
    this.#fill();
    const now = this.#filledAt;
    const tokenMs = 1_000 / this.perSecond;
    const firstAt = now + (1 - this.#tokens) * tokenMs;
    const nextAt = this.#lastReturnAt + tokenMs;
    this.#lastReturnAt = nextAt > firstAt && nextAt <= now + RETURN_MS_MAX ? nextAt : firstAt;
    return Math.max(1, Math.ceil(this.#lastReturnAt - now));
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#filledAt) / 1_000) * this.perSecond);
    this.#filledAt = now;
  }
}
