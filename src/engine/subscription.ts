export interface Subscription extends Disposable {
  /**
   * Resolves with true once something was published since the last call, with false after timeoutMs without.
   * Throws the signal's reason when it has to wait and that fires. Never misses what was published between two calls.
   */
  next(timeoutMs: number): Promise<boolean>;
}

/** One who waits for a tape, among the others that do. */
export class Subscriber implements Subscription {
  readonly #others: Set<Subscriber>;
  readonly #signal: AbortSignal;
  readonly #onDispose: () => void;
  /** Something was published since the last next(). */
  #fresh = false;
  #settle: ((woken: boolean) => void) | null = null;
  #fail: ((reason: unknown) => void) | null = null;

  constructor(others: Set<Subscriber>, signal: AbortSignal, onDispose: () => void) {
    this.#others = others;
    this.#signal = signal;
    this.#onDispose = onDispose;
    others.add(this);
    signal.addEventListener("abort", this.#abort);
  }

  wake(): void {
    this.#fresh = true;
    this.#settle?.(true);
  }

  async next(timeoutMs: number): Promise<boolean> {
    if (!this.#fresh) {
      this.#signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      this.#settle = resolve;
      this.#fail = reject;
      const timer = setTimeout(resolve, timeoutMs, false);
      try {
        if (!(await promise)) return false;
      } finally {
        clearTimeout(timer);
        this.#settle = null;
        this.#fail = null;
      }
    }
    this.#fresh = false;
    return true;
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#others.delete(this);
    this.#onDispose();
  }

  readonly #abort = (): void => this.#fail?.(this.#signal.reason);
}
