/** It is kept for that many times as long as it took: counting takes a tenth of a connection's time at the most. */
const KEPT_TIMES = 9;

/**
 * What was counted once for all who ask at about the same time. A failure is kept like an answer, because what failed
 * for having taken too long must not be tried again at once.
 */
export class KeptAnswer<Answer> {
  readonly answer: Promise<Answer>;
  /** Resolves when it is there, or has failed. */
  readonly settled: Promise<void>;
  readonly #clock: () => number;
  /** Infinity while it is being counted, or waits for that. */
  #untilMs = Infinity;

  /**
   * @param after it is counted when this resolves
   * @param keptMs for how long it is kept at least
   * @param clock in ms, never set back
   */
  constructor(
    count: () => Promise<Answer>,
    {
      after = Promise.resolve(),
      keptMs,
      clock = () => performance.now(),
    }: { after?: Promise<void> | undefined; keptMs: number; clock?: () => number },
  ) {
    this.#clock = clock;
    this.answer = after.then(() => this.#count(count, keptMs));
    const settle = () => {};
    this.settled = this.answer.then(settle, settle);
  }

  /** Whether whoever asks now is to have it counted again. */
  get isOld(): boolean {
    return this.#untilMs <= this.#clock();
  }

  async #count(count: () => Promise<Answer>, keptMs: number): Promise<Answer> {
    const begunMs = this.#clock();
    try {
      return await count();
    } finally {
      const nowMs = this.#clock();
      this.#untilMs = nowMs + Math.max(keptMs, KEPT_TIMES * (nowMs - begunMs));
    }
  }
}
