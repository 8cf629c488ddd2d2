/** An entry of a {@link WaitingLine}: one caller that waits for a thing. */
export interface Waiter<Thing> {
  readonly isPriority: boolean;
  resolve(thing: Thing): void;
  reject(error: unknown): void;
}

interface Place<Thing> extends Waiter<Thing> {
  /** The deadline, in the time of performance.now(). */
  untilMs: number;
}

/**
 * Two queues of waiters. Waiters with priority are served first. Within a queue, waiters are served in the order of
 * arrival. All waiters have the same maximum wait, so the first in a queue also expires first. One timer serves all.
 */
export class WaitingLine<Thing> {
  readonly #waitMs: number;
  readonly #giveUp: (waiter: Waiter<Thing>) => void;
  readonly #priority: Line<Thing> = new Line();
  readonly #ordinary: Line<Thing> = new Line();
  #timer: NodeJS.Timeout | undefined;

  /** @param giveUp is called for each expired waiter, and rejects the waiter */
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

  /** Removes and returns the first waiter. @param isOrdinaryLet whether a waiter without priority may be served now */
  next({ isOrdinaryLet }: { isOrdinaryLet: boolean }): Waiter<Thing> | undefined {
    const first = this.#priority.shift() ?? (isOrdinaryLet ? this.#ordinary.shift() : undefined);
    if (this.length === 0) this.#stopTimer();
    return first;
  }

  /** Returns how many waiters could be served now. @param ordinaryMax the most of them without priority */
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

/** A queue. To take its first entry takes constant time, whatever its length. */
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
