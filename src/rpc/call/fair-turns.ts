import { Overloaded } from "../../domain/errors.ts";

interface Waiting {
  begin: () => void;
}

/**
 * Limits how many calls run at once. Waiting callers are served in rotation, each with its oldest call. So a thousand
 * calls of one caller delay the first call of another caller by one turn at most. The waiting calls of each caller are
 * bounded.
 */
export class FairTurns {
  readonly #atOnce: number;
  readonly #waitingMax: number;
  readonly #what: string;
  #underWay = 0;
  /** The queues by caller, in the order in which the callers are served. No queue is empty. */
  readonly #waiting = new Map<string, Waiting[]>();

  /**
   * @param what what the calls read, for the error message of a refused call
   * @param atOnce how many turns run at once
   * @param waitingMax how many calls of one caller may wait; further calls are refused
   */
  constructor({ what, atOnce, waitingMax }: { what: string; atOnce: number; waitingMax: number }) {
    this.#what = what;
    this.#atOnce = atOnce;
    this.#waitingMax = waitingMax;
  }

  /**
   * Waits for a turn. The turn lasts until the result is disposed.
   *
   * @throws Overloaded, or the signal's reason
   */
  async take(caller: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#underWay < this.#atOnce) this.#underWay++;
    else await this.#wait(caller, signal);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        this.#next();
      },
    };
  }

  #wait(caller: string, signal: AbortSignal): Promise<void> {
    const queue = this.#waiting.get(caller) ?? [];
    if (queue.length >= this.#waitingMax) {
      throw new Overloaded(`${this.#waitingMax} calls of this connection already wait to read ${this.#what}`);
    }
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        begin() {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        queue.splice(queue.indexOf(entry), 1);
        if (queue.length === 0) this.#waiting.delete(caller);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      queue.push(entry);
      this.#waiting.set(caller, queue);
    });
  }

  /** Passes the turn to the next waiting call, if there is one. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#underWay--;
      return;
    }
    const [caller, queue] = first;
    const { begin } = queue.shift()!;
    // The caller moves to the end of the rotation.
    this.#waiting.delete(caller);
    if (queue.length > 0) this.#waiting.set(caller, queue);
    begin();
  }
}
