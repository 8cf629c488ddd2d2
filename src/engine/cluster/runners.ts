import type { KindOffer } from "../../domain/session.ts";
import type { StopReason } from "../../domain/lifecycle.ts";
import { UNSTORED_MS } from "../maintenance/reconciler.ts";
import type { SlotBudget } from "../attempt/slot-budget.ts";
import type { Runner } from "./runner.ts";
import type { EngineGauges } from "../api/engine-observer.ts";

/** All runners of this process: one for its own kinds, and one for each connected worker. */
export class Runners {
  readonly #runners = new Set<Runner>();
  /** How many more tasks may run in this process, by the limits of the namespace. */
  readonly #room: () => number;

  constructor(room: () => number = () => Infinity) {
    this.#room = room;
  }

  /** How many tasks run in this process and at its workers, or are about to. */
  get busy(): number {
    let busy = 0;
    for (const { executor } of this.#runners) busy += executor.busy;
    return busy;
  }

  add(runner: Runner): void {
    this.#runners.add(runner);
  }

  remove(runner: Runner): void {
    this.#runners.delete(runner);
  }

  /** Returns a runner's offer of a kind; undefined if no runner has the kind. */
  offerOf(kind: string): KindOffer | undefined {
    for (const runner of this.#runners) {
      const offer = runner.offerOf(kind);
      if (offer !== undefined) return offer;
    }
    return undefined;
  }

  /**
   * Reserves a slot for a task of the kind at the runner with the most free slots, so the runners of a kind share the
   * load.
   *
   * @returns null if no slot is free, or older tasks may wait for one; otherwise the caller must release the slot
   */
  reserve(kind: string): { runner: Runner; lease: string } | null {
    if (this.#room() <= 0) return null;
    let best: { runner: Runner; lease: string } | null = null;
    for (const runner of this.#runners) {
      const { freeSlots } = runner.executor;
      if (freeSlots <= (best?.runner.executor.freeSlots ?? 0)) continue;
      const lease = runner.leaseFor(kind);
      if (lease !== null) best = { runner, lease };
    }
    best?.runner.executor.reserve(1);
    return best;
  }

  /** Counts the running tasks and unstored ends of all runners, and returns the budgets of their slots. */
  gauges(): Pick<EngineGauges, "running" | "budgets" | "unstoredEnds"> {
    const running = new Map<string, number>();
    const budgets = new Set<SlotBudget>();
    let unstoredEnds = 0;
    for (const { executor } of this.#runners) {
      executor.countRunning(running);
      budgets.add(executor.budget);
      unstoredEnds += executor.unstoredEnds(UNSTORED_MS).length;
    }
    return { running, budgets, unstoredEnds };
  }

  /** Whether a runner runs the task. */
  has(taskId: string): boolean {
    for (const { executor } of this.#runners) if (executor.has(taskId)) return true;
    return false;
  }

  /** Asks the code of a task to stop, if a runner runs the task. */
  stop(taskId: string, because: StopReason): void {
    for (const { executor } of this.#runners) executor.stop(taskId, because);
  }

  /**
   * Called when a waiting task was stored.
   *
   * @param kind undefined: tasks of any kind may wait, or none
   * @param exclusiveKey the key that the task may wait for
   */
  onWaiting(kind?: string, exclusiveKey: string | null = null): void {
    for (const runner of this.#runners) {
      if (kind === undefined || runner.offerOf(kind) !== undefined) runner.onWaiting(kind, exclusiveKey);
    }
  }

  /** Polls now for tasks that wait and for tasks to validate. */
  poll(): void {
    for (const runner of this.#runners) runner.poll();
  }

  /** Called when an exclusive key may have become free. One runner is enough: it unblocks the next task for all. */
  onFreeKey(exclusiveKey: string): void {
    for (const runner of this.#runners) return runner.onFreeKey(exclusiveKey);
  }

  /** Called when a task was stored that must be validated. */
  onUnvalidated(kind: string): void {
    for (const runner of this.#runners) runner.onUnvalidated(kind);
  }

  /** Called when another process may have changed any task. */
  onTouched(): void {
    for (const runner of this.#runners) runner.onTouched();
  }

  /** Called when another process has changed these tasks. */
  onTouchedTasks(taskIds: readonly string[]): void {
    for (const runner of this.#runners) if (taskIds.some((id) => runner.executor.has(id))) runner.onTouched();
  }
}
