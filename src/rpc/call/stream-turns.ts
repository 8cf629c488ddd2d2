/** So many calls begin in one turn of the event loop: a few milliseconds of work on a slow core, or less. */
export const STARTS_PER_TURN = 8;

/**
 * Spreads calls that arrive together over turns of the event loop. One read of a socket can bring a thousand new
 * streams, which Node announces one after the other: to begin, or to refuse, all of them at once would hold up every
 * other connection. Connections are served in rotation, each in the order of its own calls. A call that arrives when
 * few have begun begins at once.
 */
export class StreamTurns<Connection extends object> {
  #left = STARTS_PER_TURN;
  #isScheduled = false;
  /** In the order in which the connections are served; none is empty. */
  readonly #waiting = new Map<Connection, (() => void)[]>();

  /** Runs `begin` now, or in a later turn of the event loop. */
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
      // Behind the others, until it is served again.
      this.#waiting.delete(connection);
      if (queue.length > 0) this.#waiting.set(connection, queue);
      this.#left--;
      this.#schedule(); // Also when `begin` throws: the rest is not lost.
      begin();
    }
  }
}
