import { TASKS_PER_SLOT_MAX } from "../../domain/limits.ts";

/** How long a free slot is held for the executor that it was offered to. Executors poll as often. */
const OFFER_MS = 1_000;

/** What an executor has of a budget. */
export interface SlotUse {
  /** Tasks that run, or are about to. */
  owned: number;
  /** Those of them whose code has ended, which hold no slot. */
  ending: number;
}

/** An executor that takes slots from a budget. */
export interface SlotTaker {
  /** Called when a slot is free and it is the taker's turn. @returns whether it will reserve slots at once */
  onOffer(): boolean;
}

/**
 * The slots that executors share: those of all namespaces of a server, or those of one worker.
 *
 * Slots are taken first come, first served, as long as there are free ones. A taker that finds none waits, and freed
 * slots are offered to the waiting takers in turn. So a taker with a long backlog cannot keep the others waiting.
 */
export class SlotBudget {
  /** The maximum number of tasks that run at once. */
  readonly slots: number;
  readonly #clock: () => number;
  #owned = 0;
  #ending = 0;
  /** The takers that found no free slot, the one that has waited longest first. */
  readonly #waiting = new Set<SlotTaker>();
  /** Until when a free slot is held for a taker, at most one for each. */
  readonly #offers = new Map<SlotTaker, number>();

  /** @param clock in ms, never set back */
  constructor(slots: number, clock = () => performance.now()) {
    this.slots = slots;
    this.#clock = clock;
  }

  /** The number of slots that are neither used nor reserved. */
  get free(): number {
    const free = this.slots - this.#owned + this.#ending;
    return Math.max(0, Math.min(free, TASKS_PER_SLOT_MAX * this.slots - this.#owned));
  }

  /** Returns the number of slots that a taker can reserve now. */
  freeFor(taker: SlotTaker): number {
    if (this.#offers.size === 0) return this.free;
    this.#dropOldOffers();
    return Math.max(0, this.free - this.#offers.size + (this.#offers.has(taker) ? 1 : 0));
  }

  /** Reserves up to slotsMax slots: the taker adds them to its use. If others are in turn too, it gets a share. */
  reserve(taker: SlotTaker, slotsMax: number): number {
    const free = this.freeFor(taker);
    this.#offers.delete(taker);
    const inTurn = this.#offers.size;
    return Math.max(0, Math.min(slotsMax, inTurn === 0 ? free : Math.ceil(free / (inTurn + 1))));
  }

  /** Called by a taker that has found no free slot, and wants one. */
  await(taker: SlotTaker): void {
    this.#waiting.add(taker);
    this.#offer();
  }

  /** Changes what a taker uses. Offers slots that have become free. */
  change({ owned, ending }: SlotUse): void {
    this.#owned += owned;
    this.#ending += ending;
    this.#offer();
  }

  #offer(): void {
    if (this.#waiting.size === 0) return;
    this.#dropOldOffers();
    for (const taker of this.#waiting) {
      if (this.free <= this.#offers.size) return;
      this.#waiting.delete(taker);
      this.#offers.set(taker, this.#clock() + OFFER_MS);
      if (!taker.onOffer()) this.#offers.delete(taker);
    }
  }

  /** A taker whose session is not fresh does not take what it is offered. */
  #dropOldOffers(): void {
    const now = this.#clock();
    for (const [taker, untilMs] of this.#offers) if (untilMs <= now) this.#offers.delete(taker);
  }
}
