import type { Timed, TimingWheel } from "./timing-wheel.ts";

export interface Subscription extends Disposable {
  /**
   * Resolves with true once something was published since the last call, with false after timeoutMs without.
   * Throws the signal's reason when it has to wait and that fires. Never misses what was published between two calls.
   */
  next(timeoutMs: number): Promise<boolean>;
}

interface Wait {
  resolve(isWoken: boolean): void;
  reject(reason: unknown): void;
}

/** One who waits for a tape, among the others that do. */
export class Subscriber implements Subscription, Timed {
  deadlineMs = Infinity;
  readonly #others: Set<Subscriber>;
  readonly #signal: AbortSignal;
  readonly #wheel: TimingWheel;
  readonly #onDispose: () => void;
  /** Something was published while it did not wait. */
  #fresh = false;
  #wait: Wait | null = null;

  constructor(parts: { others: Set<Subscriber>; signal: AbortSignal; wheel: TimingWheel; onDispose: () => void }) {
    this.#others = parts.others;
    this.#signal = parts.signal;
    this.#wheel = parts.wheel;
    this.#onDispose = parts.onDispose;
    this.#others.add(this);
    this.#signal.addEventListener("abort", this.#abort);
  }

  wake(): void {
    if (this.#wait === null) this.#fresh = true;
    else this.#endWait().resolve(true);
  }

  /** For the wheel. */
  expire(): void {
    this.#endWait().resolve(false);
  }

  next(timeoutMs: number): Promise<boolean> {
    if (this.#fresh) {
      this.#fresh = false;
      return Promise.resolve(true);
    }
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      this.#wait = { resolve, reject };
      this.deadlineMs = performance.now() + timeoutMs;
      this.#wheel.watch(this);
    });
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#wheel.remove(this);
    this.#others.delete(this);
    this.#onDispose();
  }

  readonly #abort = (): void => {
    if (this.#wait !== null) this.#endWait().reject(this.#signal.reason);
  };

  #endWait(): Wait {
    const wait = this.#wait!;
    this.#wait = null;
    this.deadlineMs = Infinity;
    return wait;
  }
}
