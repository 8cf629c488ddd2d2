import type { JsonObject } from "../../domain/json.ts";
import type { StopReason } from "../../domain/lifecycle.ts";
import { TASKS_PER_SLOT_MAX } from "../../domain/limits.ts";
import type { Task } from "../../domain/task.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptSurroundings, UnstoredEnd } from "./attempt.ts";
import { AttemptFinalizer } from "./attempt-finalizer.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Reporting } from "./attempt-report.ts";
import { within } from "../../async/time-limit.ts";
import type { TaskControl } from "./task-control.ts";
import type { Journal } from "../write/journal.ts";

export interface ExecutorParts extends Reporting {
  host: AttemptHost;
  slots: number;
  /** How long code may go on after it was told to stop. */
  graceMs: number;
  journal: Journal;
  control: TaskControl;
  /** Reads what an earlier attempt has left. @throws StoreUnavailable */
  readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  /** Called whenever a slot has become free, and told which exclusive key may have with it; null: none. */
  onFree: (exclusiveKey: string | null) => void;
}

/** How long an end that cannot be stored holds its slot: the trouble may be with that one task. */
export const UNSTORED_HOLD_MS = 5_000;

/**
 * Runs a bounded number of attempts at once. While ends are being stored, their slots may be free for other code
 * (`freesSlotsWithCode` of the host): of these ends there are at most as many as slots.
 *
 * Code that is told to stop has a grace. If the code has not ended by then, the task is taken from it, its slot is free,
 * and what it still emits is refused.
 */
export class Executor {
  readonly #host: AttemptHost;
  /** How many tasks run at once, at the most. */
  readonly slots: number;
  readonly #journal: Journal;
  readonly #surroundings: AttemptSurroundings;
  readonly #onFree: (exclusiveKey: string | null) => void;
  readonly #running = new Map<string, Attempt>();
  /** Those whose code has ended and whose end is being stored, while that holds no slot. */
  readonly #ending = new Set<Attempt>();
  /** Those whose end cannot be stored, for so long that they hold no slot any more. */
  readonly #slotless = new Set<Attempt>();
  readonly #halted = new AbortController();
  #reserved = 0;
  #unreserved: PromiseWithResolvers<void> | null = null;
  #isAbandoned = false;

  constructor(parts: ExecutorParts) {
    this.#host = parts.host;
    this.slots = parts.slots;
    this.#journal = parts.journal;
    const { host, control, namespace, observer, log, graceMs, readCheckpoint } = parts;
    const finalizer = new AttemptFinalizer({ control, halted: this.#halted.signal });
    this.#surroundings = { host, finalizer, reporting: { namespace, observer, log }, graceMs, readCheckpoint };
    this.#onFree = parts.onFree;
  }

  /** Slots that neither run a task nor are held for one. */
  get freeSlots(): number {
    const owned = this.#running.size - this.#slotless.size + this.#reserved;
    return Math.max(0, Math.min(this.slots - owned + this.#ending.size, TASKS_PER_SLOT_MAX * this.slots - owned));
  }

  has(taskId: string): boolean {
    return this.#running.has(taskId);
  }

  /** The tasks that run here. */
  running(): string[] {
    return [...this.#running.keys()];
  }

  /** The attempts that run here. */
  attempts(): AttemptRef[] {
    return [...this.#running.values()].map(({ task: { taskId, kind, attempt } }) => ({ taskId, kind, attempt }));
  }

  isResumable(kind: string): boolean {
    return this.#host.isResumable(kind);
  }

  /** Adds how many run here, by kind. */
  countRunning(counts: Map<string, number>): void {
    for (const { task } of this.#running.values()) counts.set(task.kind, (counts.get(task.kind) ?? 0) + 1);
  }

  /** Attempts whose code ended at least so long ago, and whose end is not stored. */
  unstoredEnds(forMsMin: number): UnstoredEnd[] {
    return [...this.#running.values()].map((attempt) => attempt.unstoredEnd(forMsMin)).filter((end) => end !== null);
  }

  /** Frees the slots of attempts whose end cannot be stored for UNSTORED_HOLD_MS. To be called about once a second. */
  freeHeldSlots(): void {
    const free = this.freeSlots;
    for (const attempt of this.#running.values()) {
      if (attempt.unstoredEnd(UNSTORED_HOLD_MS) === null) continue;
      this.#ending.delete(attempt);
      this.#slotless.add(attempt);
    }
    if (this.freeSlots > free) this.#onFree(null);
  }

  /** Holds up to so many slots for tasks that are about to be running. @returns how many; each is to be released */
  reserve(slotsMax: number): number {
    const slots = Math.max(0, Math.min(slotsMax, this.freeSlots));
    this.#reserved += slots;
    return slots;
  }

  release(slots: number): void {
    this.#reserved -= slots;
    if (this.#reserved > 0) return;
    this.#unreserved?.resolve();
    this.#unreserved = null;
  }

  /** Resolves when no slot is held: what was about to be running is, or is not any more. */
  async whenUnreserved(): Promise<void> {
    if (this.#reserved === 0) return;
    this.#unreserved ??= Promise.withResolvers();
    await this.#unreserved.promise;
  }

  /**
   * Runs an attempt that is stored as running under the lease.
   *
   * @param at when it began, or was found running, by the database's clock
   * @param appended how many events it has on the tape already
   * @param isResumed whether it goes on here, after another process
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
    // Its start was on its way when this process let go: the process that goes on finds it.
    if (this.#isAbandoned || this.#halted.signal.aborted) return;
    const { taskId, attempt } = task;
    const running = new Attempt(task, this.#surroundings, {
      at,
      isResumed,
      openTape: (onLost) => this.#journal.open({ taskId, lease, attempt }, { appended, onLost }),
      onCodeEnded: (ending) => this.#freeSlot(ending),
      onEnded: (ended) => this.#remove(ended),
    });
    // An earlier attempt of the task, which was taken from this process: its code may not have ended yet.
    const former = this.#running.get(taskId);
    if (former !== undefined) {
      former.stop("lost");
      this.#slotless.delete(former);
      this.#ending.delete(former);
    }
    this.#running.set(taskId, running);
    running.begin();
  }

  #remove(attempt: Attempt): void {
    const { taskId, exclusiveKey } = attempt.task;
    this.#slotless.delete(attempt);
    this.#ending.delete(attempt);
    if (this.#running.get(taskId) === attempt) this.#running.delete(taskId);
    this.#onFree(exclusiveKey);
  }

  /** Tells the code of a task to stop, if it runs here. The first reason counts. */
  stop(taskId: string, because: StopReason): void {
    this.#running.get(taskId)?.stop(because);
  }

  /** Waits until nothing runs here, or for so long. */
  async whenIdle(waitMs: number): Promise<void> {
    await within(this.#whenAllEnded(), waitMs);
  }

  /**
   * Lets go of everything that runs here and leaves it as it is stored: whoever comes with the same lease goes on with
   * it. What was emitted is still written where that takes no longer than waitMs.
   */
  async abandon(waitMs: number): Promise<void> {
    this.#isAbandoned = true;
    const running = [...this.#running.values()];
    await within(Promise.allSettled(running.map(({ writer }) => writer.flush())), waitMs);
    this.#halted.abort();
    for (const attempt of this.#running.values()) attempt.abandon();
    await this.#whenAllEnded();
  }

  /** Tells all code to stop; resolves when every task's end is durable, or `halt` fires: then they are left as they are. */
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

  /** The code of an attempt has ended: its slot is free where slots are for code alone. */
  #freeSlot(attempt: Attempt): void {
    if (!this.#host.freesSlotsWithCode || this.#running.get(attempt.task.taskId) !== attempt) return;
    this.#ending.add(attempt);
    if (this.freeSlots > 0) this.#onFree(null);
  }
}
