import assert from "node:assert/strict";
import { SlotBudget } from "../../../src/engine/attempt/slot-budget.ts";
import type { SlotTaker } from "../../../src/engine/attempt/slot-budget.ts";

/** An executor that takes every slot that it is offered, if it has work. */
class Taker implements SlotTaker {
  readonly #budget: SlotBudget;
  backlog: number;
  running = 0;
  offers = 0;

  constructor(budget: SlotBudget, backlog = 0) {
    this.#budget = budget;
    this.backlog = backlog;
  }

  onOffer(): boolean {
    this.offers++;
    return this.backlog > 0;
  }

  /** Runs waiting tasks in the free slots, and waits for more slots. */
  fill(): void {
    const slots = this.#budget.reserve(this, this.backlog);
    this.running += slots;
    this.backlog -= slots;
    this.#budget.change({ owned: slots, ending: 0 });
    if (this.backlog > 0) this.#budget.await(this);
  }

  end(): void {
    this.running--;
    this.#budget.change({ owned: -1, ending: 0 });
  }
}

describe("a budget of slots", () => {
  it("gives all slots to one taker, as many as are free", () => {
    const budget = new SlotBudget(3);
    const one = new Taker(budget, 5);
    assert.equal(budget.freeFor(one), 3);
    one.fill();
    assert.deepEqual([one.running, budget.free, budget.freeFor(one), budget.reserve(one, 1)], [3, 0, 0, 0]);
    one.end();
    assert.deepEqual([budget.free, budget.freeFor(one)], [1, 1]);
  });

  it("counts a task whose code has ended as owned and without a slot, for at most as many as there are slots", () => {
    const budget = new SlotBudget(2);
    budget.change({ owned: 2, ending: 1 });
    assert.equal(budget.free, 1);
    budget.change({ owned: 2, ending: 2 });
    assert.equal(budget.free, 0);
  });

  it("offers each freed slot to the taker that has waited longest, so that a long backlog starves nobody", () => {
    const budget = new SlotBudget(2);
    const long = new Taker(budget, 1_000);
    const others = [new Taker(budget, 2), new Taker(budget, 2)];
    long.fill();
    for (const other of others) other.fill();
    const served: number[] = [];
    const takers = [long, ...others];
    for (let ended = 0; ended < 6; ended++) {
      const before = takers.map(({ running }) => running);
      (takers.find(({ running }) => running > 0 && ended % 2 === 0) ?? long).end();
      // All of them try: only the one in turn gets the slot.
      for (const taker of takers) taker.fill();
      served.push(takers.findIndex(({ running }, index) => running > before[index]!));
    }
    for (const other of others) assert.ok(other.running > 0 || other.backlog < 2, `${served.join()}`);
  });

  it("keeps a slot for the taker to which it was offered, until the offer is taken or too old", () => {
    let nowMs = 0;
    const budget = new SlotBudget(1, () => nowMs);
    const [one, other] = [new Taker(budget, 9), new Taker(budget, 1)];
    one.fill();
    other.fill();
    budget.await(other);
    // The first in turn is the one that has waited longest.
    one.end();
    const [first, second] = one.offers > 0 ? [one, other] : [other, one];
    assert.deepEqual([budget.freeFor(first), budget.freeFor(second), budget.reserve(second, 1)], [1, 0, 0]);
    nowMs = 1_000;
    assert.equal(budget.reserve(second, 1), 1);
  });

  it("passes an offer on if the taker has no more work", () => {
    const budget = new SlotBudget(1);
    const [busy, idle, waiting] = [new Taker(budget, 1), new Taker(budget), new Taker(budget, 1)];
    busy.fill();
    budget.await(idle);
    budget.await(waiting);
    busy.end();
    assert.deepEqual([idle.offers, waiting.offers, budget.freeFor(busy), budget.freeFor(waiting)], [1, 1, 0, 1]);
  });

  it("shares the free slots among the takers in turn", () => {
    const budget = new SlotBudget(8);
    const full = new Taker(budget, 8);
    full.fill();
    const [one, other] = [new Taker(budget, 8), new Taker(budget, 8)];
    one.fill();
    other.fill();
    budget.change({ owned: -8, ending: 0 });
    for (let turn = 0; turn < 3; turn++) {
      one.fill();
      other.fill();
    }
    assert.equal(one.running + other.running, 8);
    assert.ok(Math.min(one.running, other.running) >= 2, `${one.running}, ${other.running}`);
  });
});
