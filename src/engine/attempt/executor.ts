import type { JsonObject } from "../../domain/json.ts";
import type { StopReason } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptSurroundings, UnstoredEnd } from "./attempt.ts";
import { AttemptFinalizer } from "./attempt-finalizer.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Reporting } from "./attempt-report.ts";
import { within } from "../../async/time-limit.ts";
import type { SlotBudget, SlotTaker, SlotUse } from "./slot-budget.ts";
import type { TaskControl } from "./task-control.ts";
import type { Journal } from "../write/journal.ts";

export interface ExecutorParts extends Reporting {
  host: AttemptHost;
  /** The slots, which executors of other namespaces may share. */
  budget: SlotBudget;
  /** How long code may continue after it was told to stop. */
  graceMs: number;
  journal: Journal;
  control: TaskControl;
  /** Reads the last checkpoint of earlier attempts. @throws StoreUnavailable */
  readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  /** Reads how many bytes the events of a task have. @throws StoreUnavailable */
  readTapeBytes: (taskId: string) => Promise<number>;
  /** The limits of the namespace. */
  limits: () => Limits;
  /** Called when a slot has become free. exclusiveKey is the key that may have become free with it; null: none. */
  onFree: (exclusiveKey: string | null) => void;
  /** Called when it is this executor's turn to reserve a free slot. @returns whether it will do so at once */
  onOffer?: () => boolean;
}

/** How long an end that cannot be stored holds its slot. The trouble may be with that task alone. */
export const UNSTORED_HOLD_MS = 5_000;

/**
 * Runs a bounded number of attempts at once. If the host has `freesSlotsWithCode`, an attempt frees its slot while its
 * end is being stored, for at most as many ends as there are slots.
 *
 * Code that is told to stop has a grace period. If the code has not ended by then, the executor takes the task from the
 * code, frees the slot, and refuses further events of the code.
 */
export class Executor {
  readonly #host: AttemptHost;
  readonly budget: SlotBudget;
  readonly #taker: SlotTaker;
  readonly #journal: Journal;
  readonly #surroundings: AttemptSurroundings;
  readonly #onFree: (exclusiveKey: string | null) => void;
  readonly #running = new Map<string, Attempt>();
  /** Attempts without a slot because their code has ended. Their end is being stored. */
  readonly #ending = new Set<Attempt>();
  /** Attempts without a slot because their end could not be stored for UNSTORED_HOLD_MS. */
  readonly #slotless = new Set<Attempt>();
  readonly #halted = new AbortController();
  #reserved = 0;
  /** What the budget knows of the use of slots. */
  #counted: SlotUse = { owned: 0, ending: 0 };
  #unreserved: PromiseWithResolvers<void> | null = null;
  #isAbandoned = false;

  constructor(parts: ExecutorParts) {
    this.#host = parts.host;
    this.budget = parts.budget;
    this.#taker = { onOffer: parts.onOffer ?? (() => false) };
    this.#journal = parts.journal;
    const { host, control, namespace, observer, log, graceMs, readCheckpoint, readTapeBytes, limits } = parts;
    const finalizer = new AttemptFinalizer({ control, halted: this.#halted.signal });
    const reporting = { namespace, observer, log };
    this.#surroundings = { host, finalizer, reporting, graceMs, readCheckpoint, readTapeBytes, limits };
    this.#onFree = parts.onFree;
  }

  /** The maximum number of tasks that run at once. */
  get slots(): number {
    return this.budget.slots;
  }

  /** The number of slots that this executor can reserve now. */
  get freeSlots(): number {
    return this.budget.freeFor(this.#taker);
  }

  /** Called when tasks wait and no slot was free. A free slot is then offered in turn. */
  awaitSlot(): void {
    this.budget.await(this.#taker);
  }

  /** How many tasks run here, or are about to. */
  get busy(): number {
    return this.#running.size + this.#reserved;
  }

  has(taskId: string): boolean {
    return this.#running.has(taskId);
  }

  /** Returns the ids of the tasks that run here. */
  running(): string[] {
    return [...this.#running.keys()];
  }

  /** Returns the attempts that run here. */
  attempts(): AttemptRef[] {
    return [...this.#running.values()].map(({ task: { taskId, kind, attempt } }) => ({ taskId, kind, attempt }));
  }

  isResumable(kind: string): boolean {
    return this.#host.isResumable(kind);
  }

  /** Adds the number of tasks that run here to the counts, by kind. */
  countRunning(counts: Map<string, number>): void {
    for (const { task } of this.#running.values()) counts.set(task.kind, (counts.get(task.kind) ?? 0) + 1);
  }

  /** Returns the attempts whose code ended at least forMsMin ago, and whose end is not stored. */
  unstoredEnds(forMsMin: number): UnstoredEnd[] {
    return [...this.#running.values()].map((attempt) => attempt.unstoredEnd(forMsMin)).filter((end) => end !== null);
  }

  /** Frees the slots of attempts whose end could not be stored for UNSTORED_HOLD_MS. Call about once a second. */
  freeHeldSlots(): void {
    const free = this.freeSlots;
    for (const attempt of this.#running.values()) {
      if (attempt.unstoredEnd(UNSTORED_HOLD_MS) === null) continue;
      this.#ending.delete(attempt);
      this.#slotless.add(attempt);
    }
    this.#count();
    if (this.freeSlots > free) this.#onFree(null);
  }

  /** Reserves up to slotsMax slots for tasks that are about to run. @returns how many; the caller releases each */
  reserve(slotsMax: number): number {
    const slots = this.budget.reserve(this.#taker, slotsMax);
    this.#reserved += slots;
    this.#count();
    return slots;
  }

  release(slots: number): void {
    this.#reserved -= slots;
    this.#count();
    if (this.#reserved > 0) return;
    this.#unreserved?.resolve();
    this.#unreserved = null;
  }

  /** Resolves when no slot is reserved: each task that was about to run now runs, or will not run. */
  async whenUnreserved(): Promise<void> {
    if (this.#reserved === 0) return;
    this.#unreserved ??= Promise.withResolvers();
    await this.#unreserved.promise;
  }

  /**
   * Runs an attempt that is stored as running under the lease.
   *
   * @param at when the attempt began, or was read as running, by the database's clock
   * @param appended how many events the attempt already has on the tape
   * @param isResumed whether the attempt continues here after another process
   */
  run(
    task: Task,
    {
      lease,
      at,
      appended = 0n,
      isResumed = false,
    }: { lease: string; at: Date; appended?: bigint; isResumed?: boolean },
  ): void {
    // The start was in progress when this process abandoned its tasks. The process that continues finds the task.
    if (this.#isAbandoned || this.#halted.signal.aborted) return;
    const { taskId, attempt } = task;
    const running = new Attempt(task, this.#surroundings, {
      at,
      isResumed,
      openTape: (quota, onLost) => this.#journal.open({ taskId, lease, attempt }, { appended, quota, onLost }),
      onCodeEnded: (ending) => this.#freeSlot(ending),
      onEnded: (ended) => this.#remove(ended),
    });
    // The task was taken from an earlier attempt of this process. The code of that attempt may not have ended yet.
    const former = this.#running.get(taskId);
    if (former !== undefined) {
      former.stop("lost");
      this.#slotless.delete(former);
      this.#ending.delete(former);
    }
    this.#running.set(taskId, running);
    this.#count();
    running.begin();
  }

  #remove(attempt: Attempt): void {
    const { taskId, exclusiveKey } = attempt.task;
    this.#slotless.delete(attempt);
    this.#ending.delete(attempt);
    if (this.#running.get(taskId) === attempt) this.#running.delete(taskId);
    this.#count();
    this.#onFree(exclusiveKey);
  }

  /** Tells the code of a task to stop, if it runs here. The first reason counts. */
  stop(taskId: string, because: StopReason): void {
    this.#running.get(taskId)?.stop(because);
  }

  /** Waits until no task runs here, for up to waitMs. */
  async whenIdle(waitMs: number): Promise<void> {
    await within(this.#whenAllEnded(), waitMs);
  }

  /**
   * Abandons all attempts that run here, and leaves them as they are stored. The process that holds the same lease next
   * continues them. Emitted events are still written, if that takes at most waitMs.
   */
  async abandon(waitMs: number): Promise<void> {
    this.#isAbandoned = true;
    const running = [...this.#running.values()];
    await within(Promise.allSettled(running.map(({ writer }) => writer.flush())), waitMs);
    this.#halted.abort();
    for (const attempt of this.#running.values()) attempt.abandon();
    await this.#whenAllEnded();
  }

  /** Tells all code to stop. Resolves when all ends are durable, or when `halt` fires: tasks then stay as stored. */
  async stopAll(because: StopReason, halt?: AbortSignal): Promise<void> {
    halt?.addEventListener("abort", () => this.#halted.abort(halt.reason), { once: true });
    if (halt?.aborted) this.#halted.abort(halt.reason);
    for (const running of this.#running.values()) {
      running.stop(because === "shutdown" && this.#host.isResumable(running.task.kind) ? "handover" : because);
    }
    await this.#whenAllEnded();
  }

  async #whenAllEnded(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Frees the slot of an attempt whose code has ended, if the host frees slots with the code. */
  #freeSlot(attempt: Attempt): void {
    if (!this.#host.freesSlotsWithCode || this.#running.get(attempt.task.taskId) !== attempt) return;
    this.#ending.add(attempt);
    this.#count();
    if (this.freeSlots > 0) this.#onFree(null);
  }

  /** Reports the use of slots to the budget. Call after every change of it. */
  #count(): void {
    const owned = this.#running.size - this.#slotless.size + this.#reserved;
    const ending = this.#ending.size;
    const before = this.#counted;
    this.#counted = { owned, ending };
    this.budget.change({ owned: owned - before.owned, ending: ending - before.ending });
  }
}
