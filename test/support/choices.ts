/** Makes choices that a seed determines. */
export class Choices {
  #state: number;
  #left: number;

  /** @param most how many choices are random. All later ones are the first possibility, and no chance is taken */
  constructor(seed: number, most = Infinity) {
    this.#state = seed >>> 0;
    this.#left = most;
  }

  /** How many random choices remain. */
  get left(): number {
    return this.#left;
  }

  /** Returns a number from 0 to below 1; 1 after the last random choice. */
  #draw(): number {
    if (this.#left <= 0) return 1;
    this.#left--;
    // Mulberry32, whose states are all numbers of 32 bits.
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from 0 to below `count`. */
  below(count: number): number {
    const drawn = this.#draw();
    return drawn === 1 ? 0 : Math.floor(drawn * count);
  }

  /** Returns an integer from `first` to `last`. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  /** Whether something with this probability happens. */
  chance(probability: number): boolean {
    return this.#draw() < probability;
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

/** Returns the seed of one of many runs, so that neighbouring runs have nothing in common. */
export function seedOf(seed: number, run: number): number {
  let mixed = (seed + Math.imul(run, 0x9e3779b1)) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
