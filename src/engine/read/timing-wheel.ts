/** How exact the wheel is. */
const TURN_MS = 20;
/** How many are told in one turn at the least, and which share of those that are late. */
const TOLD_MIN = 32;
const TOLD_SHARE = 1 / 50;

/** One whose time runs out, unless it is renewed or removed before. */
export interface Timed {
  /** By performance.now(); Infinity: it does not wait now. Moving it to a later time takes no call. */
  deadlineMs: number;
  expire(): void;
}

/**
 * The deadlines of many waits on one timer: of ten thousand followers each wants a heartbeat, and hardly one of them
 * gets it, for an event comes first. So a deadline that moves costs nothing, and those that pass together are told a
 * few at a time: what else the process has to do goes on in between.
 *
 * A deadline is told up to TURN_MS late, and later where thousands pass in one moment.
 */
export class TimingWheel {
  /** By the turn at which to look at them. */
  readonly #slots = new Map<number, Set<Timed>>();
  readonly #turnOf = new Map<Timed, number>();
  /** Those whose turn has come. */
  readonly #due = new Set<Timed>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Sees to it that one is looked at when its deadline has passed. */
  watch(timed: Timed): void {
    if (this.#timer === undefined) this.#start();
    // Not before the turn that is looked at next: what has passed already is told then.
    const turn = Math.max(this.#turn, turnAfter(timed.deadlineMs));
    const planned = this.#turnOf.get(timed);
    if (planned !== undefined && planned <= turn) return;
    if (planned !== undefined) this.remove(timed);
    this.#plan(timed, turn);
  }

  remove(timed: Timed): void {
    const turn = this.#turnOf.get(timed);
    if (turn === undefined) return;
    this.#turnOf.delete(timed);
    if (this.#due.delete(timed)) return;
    const slot = this.#slots.get(turn)!;
    slot.delete(timed);
    if (slot.size === 0) this.#slots.delete(turn);
  }

  #plan(timed: Timed, turn: number): void {
    const slot = this.#slots.get(turn);
    if (slot === undefined) this.#slots.set(turn, new Set([timed]));
    else slot.add(timed);
    this.#turnOf.set(timed, turn);
  }

  #start(): void {
    this.#turn = turnAfter(performance.now());
    this.#timer = setInterval(() => this.#advance(performance.now()), TURN_MS);
  }

  #advance(nowMs: number): void {
    for (const last = Math.floor(nowMs / TURN_MS); this.#turn <= last; this.#turn++) {
      for (const timed of this.#slots.get(this.#turn) ?? []) this.#due.add(timed);
      this.#slots.delete(this.#turn);
    }
    let left = Math.max(TOLD_MIN, Math.ceil(this.#due.size * TOLD_SHARE));
    for (const timed of this.#due) {
      this.#due.delete(timed);
      this.#turnOf.delete(timed);
      if (timed.deadlineMs > nowMs) {
        if (timed.deadlineMs < Infinity) this.#plan(timed, Math.max(this.#turn, turnAfter(timed.deadlineMs)));
        continue;
      }
      timed.expire();
      if (--left === 0) break;
    }
    if (this.#turnOf.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function turnAfter(ms: number): number {
  return Math.ceil(ms / TURN_MS);
}
