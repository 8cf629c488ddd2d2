import { toFailure } from "../../domain/attempt.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { AttemptOutcome, StopReason } from "../../domain/lifecycle.ts";
import { TASKS_PER_SLOT_MAX } from "../../domain/limits.ts";
import type { Task } from "../../domain/task.ts";
import { isContentError, sqlstateOf } from "../../store/errors.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { outsideSpans } from "../../telemetry/trace-context.ts";
import { AttemptFinalizer } from "./attempt-finalizer.ts";
import type { FinalizedAttempt } from "./attempt-finalizer.ts";
import type { AttemptHost, HostedAttempt } from "./attempt-host.ts";
import { AttemptReport } from "./attempt-report.ts";
import type { Reporting } from "./attempt-report.ts";
import { retryWhile } from "../../async/retry.ts";
import { within } from "../../async/time-limit.ts";
import type { TaskControl } from "./task-control.ts";
import type { Journal } from "../write/journal.ts";
import { RunningAttempt } from "./running-attempt.ts";
import type { UnstoredEnd } from "./running-attempt.ts";

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
 * Runs attempts where their code is, a bounded number at once, each from its first event to the durable end of its task.
 * While ends are being stored, their slots may be free for other code (`freesSlotsWithCode` of the host): of these ends
 * there are at the most as many as slots.
 *
 * Code that is told to stop has a grace; if it has not ended by then the task is taken from it, its slot is free, and
 * what it still emits is refused.
 */
export class Executor {
  readonly #host: AttemptHost;
  /** How many tasks run at once, at the most. */
  readonly slots: number;
  readonly #graceMs: number;
  readonly #journal: Journal;
  readonly #finalizer: AttemptFinalizer;
  readonly #reporting: Reporting;
  readonly #readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  readonly #onFree: (exclusiveKey: string | null) => void;
  readonly #running = new Map<string, RunningAttempt>();
  /** Those whose code has ended and whose end is being stored, while that holds no slot. */
  readonly #ending = new Set<RunningAttempt>();
  /** Those whose end cannot be stored, for so long that they hold no slot any more. */
  readonly #slotless = new Set<RunningAttempt>();
  readonly #halted = new AbortController();
  #reserved = 0;
  #unreserved: PromiseWithResolvers<void> | null = null;
  #isAbandoned = false;

  constructor(parts: ExecutorParts) {
    this.#host = parts.host;
    this.slots = parts.slots;
    this.#graceMs = parts.graceMs;
    this.#journal = parts.journal;
    this.#finalizer = new AttemptFinalizer({ control: parts.control, halted: this.#halted.signal });
    this.#reporting = { namespace: parts.namespace, observer: parts.observer, log: parts.log };
    this.#readCheckpoint = parts.readCheckpoint;
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
    const { taskId, attempt, attemptDeadlineAt } = task;
    const running = new RunningAttempt(task, {
      open: (onLost) => this.#journal.open({ taskId, lease, attempt }, { appended, onLost }),
      report: new AttemptReport(task, { ...this.#reporting, at, isResumed }),
      timeoutMs: attemptDeadlineAt === null ? Infinity : attemptDeadlineAt.getTime() - at.getTime(),
      graceMs: this.#graceMs,
      within: (work) => this.#host.within(task, work),
    });
    // An earlier attempt of the task, which was taken from this process: its code may not have come to its end yet.
    const former = this.#running.get(taskId);
    if (former !== undefined) {
      former.stop("lost");
      this.#slotless.delete(former);
      this.#ending.delete(former);
    }
    this.#running.set(taskId, running);
    running.ended = outsideSpans(() => this.#see(running));
  }

  /** Sees an attempt to its end. Never rejects. */
  #see(running: RunningAttempt): Promise<void> {
    const { task, writer, report } = running;
    return this.#run(running)
      .then((finalized) => {
        report.end(finalized.end, finalized.task);
        this.#host.onEnded(writer.fence, finalized.isStored);
      })
      .catch((error: unknown) => {
        // Only once this process was told to wait no longer: other servers take the task with the session.
        report.end({ outcome: "lost" }, null);
        this.#reporting.log.error({ ...report.line, err: error }, "attempt: end not stored before the stop");
      })
      .finally(() => {
        running.dispose();
        this.#slotless.delete(running);
        this.#ending.delete(running);
        if (this.#running.get(task.taskId) === running) this.#running.delete(task.taskId);
        this.#onFree(task.exclusiveKey);
      });
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

  /** @throws StoreUnavailable when its end could not be stored until this process was to wait no longer */
  async #run(running: RunningAttempt): Promise<FinalizedAttempt> {
    const { task, writer, report, signal } = running;
    const lastCheckpoint = () => this.#lastCheckpoint(running);
    const code = this.#runCode({ task, writer, lastCheckpoint, span: report.span }, signal);
    const outcome = await running.outcomeOf(code);
    if (outcome === "abandoned") return { end: { outcome: "moved" }, isStored: false, task: null };
    const ending = { task, writer, onFailure: (error: unknown) => this.#reportUnstored(running, error) };
    if (typeof outcome !== "string") {
      this.#freeSlot(running);
      return this.#finalizer.end(ending, outcome);
    }
    this.#reporting.log.warn(
      { ...report.line, because: outcome },
      "the code of a task did not stop within its grace: the task is taken from it",
    );
    return this.#finalizer.take(ending, outcome);
  }

  /** Its code has ended: where slots are for code alone, its own is free. */
  #freeSlot(running: RunningAttempt): void {
    if (!this.#host.freesSlotsWithCode || this.#running.get(running.task.taskId) !== running) return;
    this.#ending.add(running);
    if (this.freeSlots > 0) this.#onFree(null);
  }

  /** Never rejects, also where a host does: no task runs on without code. */
  async #runCode(attempt: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome> {
    try {
      return await this.#host.run(attempt, signal);
    } catch (error) {
      this.#reporting.log.error({ err: error, task_id: attempt.task.taskId }, "attempt: code could not be run");
      return { type: "threw", failure: toFailure(error), because: null, isFinal: false };
    }
  }

  #reportUnstored(running: RunningAttempt, error: unknown): void {
    if (!running.failedToEnd(error)) return;
    const said = Object.assign(running.report.line, { err: error, sqlstate: sqlstateOf(error) });
    this.#reporting.log.warn(said, "attempt: end not stored, retrying");
  }

  /** Reads through the trouble of a database. */
  async #lastCheckpoint({ task, signal }: RunningAttempt): Promise<JsonObject | null> {
    return await retryWhile(
      (error) => !isContentError(error),
      () => this.#readCheckpoint(task),
      { signal },
    );
  }
}
