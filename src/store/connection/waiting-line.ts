/** Who waits for something that there are few of. */
export interface Waiter<Thing> {
  readonly isPriority: boolean;
  resolve(thing: Thing): void;
  reject(error: unknown): void;
}

interface Place<Thing> extends Waiter<Thing> {
  /** When it is given up, by performance.now(). */
  untilMs: number;
}

/**
 * Two lines of waiters, each served in the order in which they came: those with priority first. All wait for equally
 * long at the most, so that the first in a line is also the first whose time is up, and one timer does for all.
 */
export class WaitingLine<Thing> {
  readonly #waitMs: number;
  readonly #giveUp: (waiter: Waiter<Thing>) => void;
  readonly #priority: Line<Thing> = new Line();
  readonly #ordinary: Line<Thing> = new Line();
  #timer: NodeJS.Timeout | undefined;

  /** @param giveUp is told of each whose time is up, and rejects it */
  constructor({ waitMs, giveUp }: { waitMs: number; giveUp: (waiter: Waiter<Thing>) => void }) {
    this.#waitMs = waitMs;
    this.#giveUp = giveUp;
  }

  get length(): number {
    return this.#priority.length + this.#ordinary.length;
  }

  join({ isPriority }: { isPriority: boolean }): Promise<Thing> {
    const { promise, resolve, reject } = Promise.withResolvers<Thing>();
    const place = { isPriority, resolve, reject, untilMs: performance.now() + this.#waitMs };
    (isPriority ? this.#priority : this.#ordinary).push(place);
    this.#timer ??= setTimeout(() => this.#expire(), this.#waitMs);
    return promise;
  }

  /** Takes the first, who leaves the line. @param isOrdinaryLet whether one without priority may be served now */
  next({ isOrdinaryLet }: { isOrdinaryLet: boolean }): Waiter<Thing> | undefined {
    const first = this.#priority.shift() ?? (isOrdinaryLet ? this.#ordinary.shift() : undefined);
    if (this.length === 0) this.#stopTimer();
    return first;
  }

  /** How many could be served at once. @param ordinaryMax so many of them without priority */
  countLet(ordinaryMax: number): number {
    return this.#priority.length + Math.max(0, Math.min(this.#ordinary.length, ordinaryMax));
  }

  rejectAll(error: unknown): void {
    this.#stopTimer();
    for (const line of [this.#priority, this.#ordinary])
      for (let place = line.shift(); place !== undefined; place = line.shift()) place.reject(error);
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const line of [this.#priority, this.#ordinary])
      for (let place = line.first; place !== undefined && place.untilMs <= now; place = line.first)
        this.#giveUp(line.shift()!);
    const next = Math.min(this.#priority.first?.untilMs ?? Infinity, this.#ordinary.first?.untilMs ?? Infinity);
    if (next < Infinity) this.#timer ??= setTimeout(() => this.#expire(), Math.max(1, Math.ceil(next - now)));
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** A queue whose first is taken in constant time, however long it is. */
class Line<Thing> {
  #places: (Place<Thing> | undefined)[] = [];
  #begin = 0;

  get length(): number {
    return this.#places.length - this.#begin;
  }

  get first(): Place<Thing> | undefined {
    return this.#places[this.#begin];
  }

  push(place: Place<Thing>): void {
    this.#places.push(place);
  }

  shift(): Place<Thing> | undefined {
    const first = this.#places[this.#begin];
    if (first === undefined) return undefined;
    this.#places[this.#begin++] = undefined;
    if (this.#begin === this.#places.length || this.#begin > 1_024) {
      this.#places = this.#places.slice(this.#begin);
      this.#begin = 0;
    }
    return first;
  }
}
