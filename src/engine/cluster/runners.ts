import type { KindOffer } from "../../domain/session.ts";
import type { StopReason } from "../../domain/lifecycle.ts";
import { UNSTORED_MS } from "../maintenance/reconciler.ts";
import type { Runner } from "./runner.ts";
import type { EngineGauges } from "../api/engine-metrics.ts";

/** All that run tasks through this process: itself, and the workers that are connected to it. */
export class Runners {
  readonly #runners = new Set<Runner>();

  add(runner: Runner): void {
    this.#runners.add(runner);
  }

  remove(runner: Runner): void {
    this.#runners.delete(runner);
  }

  /** What one of them says of a kind. */
  offerOf(kind: string): KindOffer | undefined {
    for (const runner of this.#runners) {
      const offer = runner.offerOf(kind);
      if (offer !== undefined) return offer;
    }
    return undefined;
  }

  /**
   * Holds a slot for a task of the kind where the most are free, so that those who have it share the load.
   *
   * @returns null where none is free, or older tasks may be waiting for one; else the slot is to be released
   */
  reserve(kind: string): { runner: Runner; lease: string } | null {
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

  /** How many run through them, and how many could. */
  gauges(): Pick<EngineGauges, "running" | "slots" | "freeSlots" | "unstoredEnds"> {
    const running = new Map<string, number>();
    let slots = 0;
    let freeSlots = 0;
    let unstoredEnds = 0;
    for (const { executor } of this.#runners) {
      executor.countRunning(running);
      slots += executor.slots;
      freeSlots += executor.freeSlots;
      unstoredEnds += executor.unstoredEnds(UNSTORED_MS).length;
    }
    return { running, slots, freeSlots, unstoredEnds };
  }

  /** Whether a task runs by one of them. */
  has(taskId: string): boolean {
    for (const { executor } of this.#runners) if (executor.has(taskId)) return true;
    return false;
  }

  /** Tells the code of a task to stop, if it runs by one of them. */
  stop(taskId: string, because: StopReason): void {
    for (const { executor } of this.#runners) executor.stop(taskId, because);
  }

  /** A task was stored that waits. @param kind undefined: of any, if there is one at all @param exclusiveKey that it may be waiting for */
  onWaiting(kind?: string, exclusiveKey: string | null = null): void {
    for (const runner of this.#runners) {
      if (kind === undefined || runner.offerOf(kind) !== undefined) runner.onWaiting(kind, exclusiveKey);
    }
  }

  /** An exclusive key may have become free. One of them sees to it: for what another runs it lets that claim. */
  onFreeKey(exclusiveKey: string): void {
    for (const runner of this.#runners) return runner.onFreeKey(exclusiveKey);
  }

  /** A task was stored that has to be validated. */
  onUnvalidated(kind: string): void {
    for (const runner of this.#runners) runner.onUnvalidated(kind);
  }

  /** Others may have touched any task. */
  onTouched(): void {
    for (const runner of this.#runners) runner.onTouched();
  }

  /** Others have touched these. */
  onTouchedTasks(taskIds: readonly string[]): void {
    for (const runner of this.#runners) if (taskIds.some((id) => runner.executor.has(id))) runner.onTouched();
  }
}
