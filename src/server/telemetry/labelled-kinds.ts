/** How many kinds have a label of their own. */
export const KIND_LABELS_MAX = 100;
/** How many of these labels may belong to kinds that this server does not run: callers choose their names freely. */
export const ASKED_LABELS_MAX = 50;
/** The label of all other kinds. */
export const OTHER_KINDS = "other";

/**
 * Holds a value for each kind, by label. Callers choose names of kinds, and a series exists until the process ends. So
 * the labels are bounded: kinds that run here have priority, the first other kinds have their own label, and all
 * remaining kinds share one.
 */
export class LabelledKinds<Held> {
  readonly #make: (label: string) => Held;
  /** The values by label, in order of arrival. */
  readonly #held = new Map<string, Held>();
  /** The labels of kinds that this server is not known to run. */
  readonly #asked = new Set<string>();
  readonly #other: Held;

  /** @param own the kinds that this process runs */
  constructor(make: (label: string) => Held, own: readonly string[] = []) {
    this.#make = make;
    this.#other = make(OTHER_KINDS);
    for (const kind of own) this.ofRun(kind);
  }

  /** Returns the value of a kind that a caller named. */
  of(kind: string): Held {
    const held = this.#held.get(kind);
    if (held !== undefined) return held;
    if (this.#asked.size >= ASKED_LABELS_MAX || !this.#hasRoomFor(kind)) return this.#other;
    this.#asked.add(kind);
    return this.#add(kind);
  }

  /** Returns the value of a kind that this server or one of its workers runs. */
  ofRun(kind: string): Held {
    this.#asked.delete(kind);
    return this.#held.get(kind) ?? (this.#hasRoomFor(kind) ? this.#add(kind) : this.#other);
  }

  /** The kinds that have their own label. */
  get labels(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** All values. The last belongs to the shared label. */
  get all(): readonly Held[] {
    return [...this.#held.values(), this.#other];
  }

  /** Whether the kind may get its own label. A kind named like the shared label never does. */
  #hasRoomFor(kind: string): boolean {
    return kind !== OTHER_KINDS && this.#held.size < KIND_LABELS_MAX;
  }

  #add(kind: string): Held {
    const held = this.#make(kind);
    this.#held.set(kind, held);
    return held;
  }
}
