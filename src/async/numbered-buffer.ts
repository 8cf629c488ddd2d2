import { ignoreRejection } from "../domain/ignore-rejection.ts";

/** Items of consecutive numbers that were taken together. The array is never changed. */
export interface TakenItems<Item> {
  firstNumber: bigint;
  items: readonly Item[];
  bytes: number;
}

/** How much the buffer holds before its producer waits. The item that passes a bound is still taken in. */
export interface BufferBound {
  /** Which items count: those that were not taken, or all that are not acknowledged. */
  of: "unsent" | "unacknowledged";
  items: number;
  bytes: number;
}

const DONE = Promise.resolve();

/**
 * Items in order, each with the number after the item before. An item is held from its arrival until its number is
 * acknowledged: the consumer takes items, and what is not acknowledged can be taken again under the same numbers.
 */
export class NumberedBuffer<Item> {
  readonly #bound: BufferBound;
  readonly #sizeOf: (item: Item) => number;
  /** `last` is `base` and `added`: an item costs no BigInt of its own. */
  #base: bigint;
  #added = 0;
  #acknowledged: bigint;
  /** Whether `acknowledged` is greater than `last`: then the next item is dropped. */
  #isBehind = false;
  #unsent: Item[] = [];
  #unsentBytes = 0;
  /** Taken and unacknowledged items, in order. Usually one entry, which an acknowledgement drops as a whole. */
  #taken: TakenItems<Item>[] = [];
  #takenCount = 0;
  #takenBytes = 0;
  #room: PromiseWithResolvers<void> | null = null;
  #flushes: { through: bigint; done: PromiseWithResolvers<void> }[] = [];

  /**
   * @param sizeOf the bytes of an item
   * @param acknowledged how many items were acknowledged before: the first item has the number after
   */
  constructor(parts: { bound: BufferBound; sizeOf: (item: Item) => number; acknowledged?: bigint }) {
    this.#bound = parts.bound;
    this.#sizeOf = parts.sizeOf;
    this.#acknowledged = parts.acknowledged ?? 0n;
    this.#base = this.#acknowledged;
  }

  /** The number of the last item that was added. */
  get last(): bigint {
    return this.#base + BigInt(this.#added);
  }

  /**
   * The number up to which items are acknowledged. It is greater than `last` if the consumer knows later items already.
   */
  get acknowledged(): bigint {
    return this.#acknowledged;
  }

  get unsentCount(): number {
    return this.#unsent.length;
  }

  /** Whether the next item finds room. */
  get hasRoom(): boolean {
    return !this.exceeds(1);
  }

  /** Whether the buffer holds this many times its bound. */
  exceeds(times: number): boolean {
    const { of, items, bytes } = this.#bound;
    const isAll = of === "unacknowledged";
    return (
      this.#unsent.length + (isAll ? this.#takenCount : 0) >= items * times ||
      this.#unsentBytes + (isAll ? this.#takenBytes : 0) >= bytes * times
    );
  }

  /** Adds an item, also past the bound. An item whose number is acknowledged already is dropped. */
  add(item: Item): void {
    this.#added++;
    if (this.#isBehind) {
      this.#isBehind = this.last < this.#acknowledged;
      return;
    }
    this.#unsent.push(item);
    this.#unsentBytes += this.#sizeOf(item);
  }

  /** Resolves when there is room for another item. @throws the error of `fail` */
  room(): Promise<void> {
    if (this.hasRoom) return DONE;
    this.#room ??= Promise.withResolvers();
    return ignoreRejection(this.#room.promise);
  }

  /** Resolves when all items that were added so far are acknowledged. @throws the error of `fail` */
  flush(): Promise<void> {
    if (this.#acknowledged >= this.last) return DONE;
    const done = Promise.withResolvers<void>();
    this.#flushes.push({ through: this.last, done });
    return ignoreRejection(done.promise);
  }

  /** Takes the next items within both limits: all of them by default, and one at least, if there is one. */
  take(itemsMax = Infinity, bytesMax = Infinity): TakenItems<Item> {
    const firstNumber = this.#firstUnsent;
    let items = this.#unsent;
    let bytes = this.#unsentBytes;
    if (items.length <= itemsMax && bytes <= bytesMax) {
      this.#unsent = [];
    } else {
      let count = 0;
      bytes = 0;
      for (; count < itemsMax && count < this.#unsent.length; count++) {
        const size = this.#sizeOf(this.#unsent[count]!);
        if (count > 0 && bytes + size > bytesMax) break;
        bytes += size;
      }
      items = this.#unsent.splice(0, count);
    }
    this.#unsentBytes -= bytes;
    const taken = { firstNumber, items, bytes };
    if (items.length > 0) {
      this.#taken.push(taken);
      this.#takenCount += items.length;
      this.#takenBytes += bytes;
    }
    this.#freeRoom();
    return taken;
  }

  /** Drops the items up to a number. Older acknowledgements change nothing. */
  acknowledge(through: bigint): void {
    if (through <= this.#acknowledged) return;
    if (this.#taken.length === 1 && through === this.#firstUnsent - 1n) {
      // The most common case: everything that was taken is acknowledged at once.
      this.#taken.pop();
      this.#takenCount = 0;
      this.#takenBytes = 0;
    } else {
      this.#dropTaken(through);
    }
    if (this.#taken.length === 0 && this.#unsent.length > 0) {
      const dropped = this.#unsent.splice(0, countThrough(through, this.#firstUnsent));
      this.#unsentBytes -= this.#bytesOf(dropped);
    }
    this.#acknowledged = through;
    this.#isBehind = this.last < through;
    while (this.#flushes[0] !== undefined && this.#flushes[0].through <= through) this.#flushes.shift()!.done.resolve();
    this.#freeRoom();
  }

  /** Lets everything that is not acknowledged be taken again. */
  resend(): void {
    if (this.#taken.length === 0) return;
    this.#unsent = [...this.#taken.flatMap(({ items }) => items), ...this.#unsent];
    this.#unsentBytes += this.#takenBytes;
    this.#forgetTaken();
  }

  /** Drops the items after a number, which the consumer will never take. Their producer keeps waiting. */
  discardAfter(through: bigint): void {
    if (through >= this.last) return;
    this.#unsent = this.#unsent.slice(0, countThrough(through, this.#firstUnsent));
    this.#unsentBytes = this.#bytesOf(this.#unsent);
    const taken = this.#taken;
    this.#forgetTaken();
    for (const { firstNumber, items } of taken) {
      const kept = items.slice(0, countThrough(through, firstNumber));
      if (kept.length === 0) break;
      const bytes = this.#bytesOf(kept);
      this.#taken.push({ firstNumber, items: kept, bytes });
      this.#takenCount += kept.length;
      this.#takenBytes += bytes;
    }
    this.#base = this.#acknowledged;
    this.#added = this.#takenCount + this.#unsent.length;
    this.#isBehind = false;
  }

  /** Drops everything. Waiting producers and flushes are rejected. */
  fail(error: Error): void {
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#forgetTaken();
    this.#room?.reject(error);
    this.#room = null;
    for (const { done } of this.#flushes) done.reject(error);
    this.#flushes = [];
  }

  get #firstUnsent(): bigint {
    return this.last - BigInt(this.#unsent.length) + 1n;
  }

  #dropTaken(through: bigint): void {
    for (let first = this.#taken[0]; first !== undefined; first = this.#taken[0]) {
      const { firstNumber, items, bytes } = first;
      const count = countThrough(through, firstNumber);
      if (count < items.length) {
        const droppedBytes = this.#bytesOf(items.slice(0, count));
        this.#taken[0] = {
          firstNumber: firstNumber + BigInt(count),
          items: items.slice(count),
          bytes: bytes - droppedBytes,
        };
        this.#takenCount -= count;
        this.#takenBytes -= droppedBytes;
        return;
      }
      this.#taken.shift();
      this.#takenCount -= items.length;
      this.#takenBytes -= bytes;
    }
  }

  #forgetTaken(): void {
    this.#taken = [];
    this.#takenCount = 0;
    this.#takenBytes = 0;
  }

  #freeRoom(): void {
    if (this.#room === null || !this.hasRoom) return;
    this.#room.resolve();
    this.#room = null;
  }

  #bytesOf(items: readonly Item[]): number {
    let bytes = 0;
    for (const item of items) bytes += this.#sizeOf(item);
    return bytes;
  }
}

/** How many items from `firstNumber` on have a number up to `through`. */
function countThrough(through: bigint, firstNumber: bigint): number {
  return Math.max(0, Number(through - firstNumber) + 1);
}
