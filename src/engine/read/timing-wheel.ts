/** Resolution of the wheel, in ms. */
const TURN_MS = 20;
/** How many entries expire in one turn at most: the minimum, or this share of the due entries if that is more. */
const EXPIRED_MIN = 32;
const EXPIRED_SHARE = 1 / 50;

/** An entry of the wheel, which expires at its deadline unless the deadline moves or the entry is removed before. */
export interface Timed {
  /** By performance.now(); Infinity while it does not wait. Moving it to a later time needs no call. */
  deadlineMs: number;
  expire(): void;
}

/**
 * The deadlines of many waits on one timer. Each of ten thousand followers needs a heartbeat, but hardly any gets one,
 * because an event comes first. So moving a deadline costs nothing. Entries whose deadlines pass together expire a few
 * at a time, so that other work of the process continues in between.
 *
 * An entry expires up to TURN_MS late, and later if thousands of deadlines pass together.
 */
export class TimingWheel {
  /** Entries by the turn in which the wheel checks them. */
  readonly #slots = new Map<number, Set<Timed>>();
  readonly #turnOf = new Map<Timed, number>();
  /** Entries whose turn has come. */
  readonly #due = new Set<Timed>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Schedules an entry, so that it expires at its deadline. Call this again when the deadline moves earlier. */
  watch(timed: Timed): void {
    if (this.#timer === undefined) this.#start();
    // Not before the next turn: an entry whose deadline has passed already expires then.
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
    let left = Math.max(EXPIRED_MIN, Math.ceil(this.#due.size * EXPIRED_SHARE));
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
