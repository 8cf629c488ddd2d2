/** How many calls start in one turn of the event loop: at most a few milliseconds of work on a slow core. */
export const STARTS_PER_TURN = 8;

/**
 * Spreads calls that arrive together over turns of the event loop. One read of a socket can deliver a thousand new
 * streams. Starting or refusing all of them at once would block every other connection. Connections are served in
 * rotation, each in the order of its calls. A call starts at once while few calls have started in this turn.
 */
export class StreamTurns<Connection extends object> {
  #left = STARTS_PER_TURN;
  #isScheduled = false;
  /** The queues by connection, in the order in which the connections are served. No queue is empty. */
  readonly #waiting = new Map<Connection, (() => void)[]>();

  /** Calls `begin` now or in a later turn of the event loop. */
  start(connection: Connection, begin: () => void): void {
    this.#schedule();
    if (this.#left > 0 && !this.#waiting.has(connection)) {
      this.#left--;
      return begin();
    }
    const queue = this.#waiting.get(connection);
    if (queue === undefined) this.#waiting.set(connection, [begin]);
    else queue.push(begin);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#isScheduled = false;
    this.#left = STARTS_PER_TURN;
    while (this.#left > 0) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const [connection, queue] = first;
      const begin = queue.shift()!;
      // The connection moves to the end of the rotation.
      this.#waiting.delete(connection);
      if (queue.length > 0) this.#waiting.set(connection, queue);
      this.#left--;
      this.#schedule(); // Before `begin`, which may throw: the remaining calls are not lost.
      begin();
    }
  }
}
