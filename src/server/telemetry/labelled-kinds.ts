/** How many kinds have a label of their own. */
export const KIND_LABELS_MAX = 100;
/** How many of them may be kinds that nothing here runs: callers make up their names. */
export const ASKED_LABELS_MAX = 50;
/** The label of all the rest. */
export const OTHER_KINDS = "other";

/**
 * What is held for each kind, by its label. Names of kinds come from callers, and a series that was once given is there
 * for ever: so the kinds that run here come first, of the others the first that are heard of have a label of their own,
 * and all the rest share one.
 */
export class LabelledKinds<Held> {
  readonly #make: (label: string) => Held;
  /** By label, in the order of their coming. */
  readonly #held = new Map<string, Held>();
  /** Of the labels, those of kinds that nothing here is known to run. */
  readonly #asked = new Set<string>();
  readonly #other: Held;

  /** @param own kinds that this process runs itself */
  constructor(make: (label: string) => Held, own: readonly string[] = []) {
    this.#make = make;
    this.#other = make(OTHER_KINDS);
    for (const kind of own) this.ofRun(kind);
  }

  /** Of a kind that somebody has named. */
  of(kind: string): Held {
    const held = this.#held.get(kind);
    if (held !== undefined) return held;
    if (this.#asked.size >= ASKED_LABELS_MAX || !this.#hasRoomFor(kind)) return this.#other;
    this.#asked.add(kind);
    return this.#add(kind);
  }

  /** Of a kind that is run here, by this process or a worker of it. */
  ofRun(kind: string): Held {
    this.#asked.delete(kind);
    return this.#held.get(kind) ?? (this.#hasRoomFor(kind) ? this.#add(kind) : this.#other);
  }

  /** The kinds that have a label of their own. */
  get labels(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** What is held: the last is the rest's. */
  get all(): readonly Held[] {
    return [...this.#held.values(), this.#other];
  }

  /** A kind may be called like the rest, and is then one of them. */
  #hasRoomFor(kind: string): boolean {
    return kind !== OTHER_KINDS && this.#held.size < KIND_LABELS_MAX;
  }

  #add(kind: string): Held {
    const held = this.#make(kind);
    this.#held.set(kind, held);
    return held;
  }
}
