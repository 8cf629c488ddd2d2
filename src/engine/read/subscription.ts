import type { Timed, TimingWheel } from "./timing-wheel.ts";

export interface Subscription extends Disposable {
  /**
   * Resolves with true when a commit was published since the last call, or with false after timeoutMs without one.
   * Throws the signal's reason if it has to wait and the signal fires, and the reason of `end` if it has to wait after
   * that. Never misses a commit between two calls.
   */
  next(timeoutMs: number): Promise<boolean>;
}

interface Wait {
  resolve(isWoken: boolean): void;
  reject(reason: unknown): void;
}

/** A subscriber that waits for commits, one of a set. */
export class Subscriber implements Subscription, Timed {
  deadlineMs = Infinity;
  readonly #subscribers: Set<Subscriber>;
  readonly #signal: AbortSignal;
  readonly #wheel: TimingWheel;
  readonly #onDispose: () => void;
  /** Whether a commit was published while the subscriber did not wait. */
  #isNotified = false;
  #wait: Wait | null = null;
  /** Why there will be no more commits; null: there may be more. */
  #ended: Error | null = null;

  constructor(parts: { subscribers: Set<Subscriber>; signal: AbortSignal; wheel: TimingWheel; onDispose: () => void }) {
    this.#subscribers = parts.subscribers;
    this.#signal = parts.signal;
    this.#wheel = parts.wheel;
    this.#onDispose = parts.onDispose;
    this.#subscribers.add(this);
    this.#signal.addEventListener("abort", this.#abort);
  }

  /** Ends the wait, or else lets the next one return at once. */
  wake(): void {
    if (this.#wait === null) this.#isNotified = true;
    else this.#endWait().resolve(true);
  }

  /** Ends this wait and all later ones with an error. */
  end(reason: Error): void {
    this.#ended = reason;
    if (this.#wait !== null) this.#endWait().reject(reason);
  }

  /** Called by the wheel at the deadline. */
  expire(): void {
    this.#endWait().resolve(false);
  }

  next(timeoutMs: number): Promise<boolean> {
    if (this.#isNotified) {
      this.#isNotified = false;
      return Promise.resolve(true);
    }
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted();
      if (this.#ended !== null) throw this.#ended;
      this.#wait = { resolve, reject };
      this.deadlineMs = performance.now() + timeoutMs;
      this.#wheel.watch(this);
    });
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#wheel.remove(this);
    this.#subscribers.delete(this);
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
