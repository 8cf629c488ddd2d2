/** How many calls start in one turn of the event loop. What they cause later in the turn is not in the time. */
export const STARTS_PER_TURN = 32;
/** How long calls may start in one turn, from the first on. */
export const TURN_MS = 3;

/**
 * Spreads calls that arrive together over turns of the event loop. One read of a socket can deliver a thousand new
 * streams. Starting or refusing all of them at once would block every other connection. Connections are served in
 * rotation, each in the order of its calls. A call starts at once if the turn has time left, so the calls of a usual burst
 * start together and share a commit.
 */
export class StreamTurns<Connection extends object> {
  readonly #now: () => number;
  #startsLeft = STARTS_PER_TURN;
  /** When the first call of this turn started; null: none has. */
  #began: number | null = null;
  #isScheduled = false;
  /** The queues by connection, in the order in which the connections are served. No queue is empty. */
  readonly #waiting = new Map<Connection, (() => void)[]>();

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Calls `begin` now or in a later turn of the event loop. */
  start(connection: Connection, begin: () => void): void {
    this.#schedule();
    if (!this.#waiting.has(connection) && this.#mayStart()) return begin();
    const queue = this.#waiting.get(connection);
    if (queue === undefined) this.#waiting.set(connection, [begin]);
    else queue.push(begin);
  }

  #mayStart(): boolean {
    const now = this.#now();
    this.#began ??= now;
    return this.#startsLeft-- > 0 && now - this.#began < TURN_MS;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#isScheduled = false;
    this.#startsLeft = STARTS_PER_TURN;
    this.#began = null;
    for (const [connection, queue] of this.#waiting) {
      this.#schedule(); // Before `begin`, which may throw: the remaining calls are not lost.
      if (!this.#mayStart()) return;
      const begin = queue.shift()!;
      // The connection moves to the end of the rotation.
      this.#waiting.delete(connection);
      if (queue.length > 0) this.#waiting.set(connection, queue);
      begin();
    }
  }
}
