import { Overloaded } from "../../domain/errors.ts";

interface Waiting {
  begin: () => void;
}

/**
 * Turns at something of which only a few may be under way: callers who wait are served one after the other, each with
 * the call that it has waited with longest, so that one caller's thousand calls hold up another's first by no more than
 * one turn. How many calls of a caller may wait is bounded.
 */
export class FairTurns {
  readonly #atOnce: number;
  readonly #waitingMax: number;
  readonly #what: string;
  #underWay = 0;
  /** In the order in which the callers are served; none is empty. */
  readonly #waiting = new Map<string, Waiting[]>();

  /**
   * @param what is read in turn, in words for a caller that is refused
   * @param atOnce how many turns are under way at once
   * @param waitingMax how many calls of one caller wait; past it they are refused
   */
  constructor({ what, atOnce, waitingMax }: { what: string; atOnce: number; waitingMax: number }) {
    this.#what = what;
    this.#atOnce = atOnce;
    this.#waitingMax = waitingMax;
  }

  /**
   * Waits for a turn, which lasts until it is disposed of.
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
      throw new Overloaded(`${this.#waitingMax} calls of this connection wait to read ${this.#what}`);
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

  /** Gives the turn on: it stays under way. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#underWay--;
      return;
    }
    const [caller, queue] = first;
    const { begin } = queue.shift()!;
    // Behind the others, until it is served again.
    this.#waiting.delete(caller);
    if (queue.length > 0) this.#waiting.set(caller, queue);
    begin();
  }
}
