import { AttemptStopped } from "../domain/attempt.ts";
import { StoreUnavailable } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { StopReason } from "../domain/lifecycle.ts";
import { attemptKey } from "../domain/task.ts";
import type { Fence, Task } from "../domain/task.ts";
import type { AttemptRef } from "../telemetry/attempt-context.ts";
import { outsideSpans } from "../telemetry/trace-context.ts";
import type { AttemptHost } from "./attempt-host.ts";
import { AttemptReport } from "./attempt-report.ts";
import type { Reporting } from "./attempt-report.ts";
import { backoff } from "./backoff.ts";
import type { Control } from "./control.ts";
import type { Journal } from "./journal.ts";
import { Settlement } from "./settlement.ts";
import type { Settled } from "./settlement.ts";
import type { TapeWriter } from "./tape-writer.ts";

interface Running {
  task: Task;
  /** How long the attempt may run, from its beginning; Infinity: without end. */
  timeoutMs: number;
  writer: TapeWriter;
  report: AttemptReport;
  controller: AbortController;
  /** Resolves when the code was told to stop and its grace has passed. */
  graceOver: PromiseWithResolvers<StopReason>;
  graceTimer: NodeJS.Timeout | undefined;
  /** Resolves when it is somebody else's to go on with. */
  abandoned: PromiseWithResolvers<"abandoned">;
  ended: Promise<void>;
}

export interface ExecutorParts extends Reporting {
  host: AttemptHost;
  slots: number;
  /** How long code may go on after it was told to stop. */
  graceMs: number;
  journal: Journal;
  control: Control;
  /** Reads what an earlier attempt has left. @throws StoreUnavailable */
  readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  /** Called whenever a slot has become free, and told whether an exclusive key has with it. */
  onFree: (freed: { isTurnOver: boolean }) => void;
}

/** The longest delay of a timer. The sweeper sees to attempts whose timeout is longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Runs attempts where their code is, a bounded number at once, each from its first event to the durable end of its task.
 * Code that is told to stop has a grace; if it has not ended by then the task is taken from it, its slot is free, and
 * what it still emits is refused.
 */
export class Executor {
  readonly #host: AttemptHost;
  /** How many tasks run at once, at the most. */
  readonly slots: number;
  readonly #graceMs: number;
  readonly #journal: Journal;
  readonly #settlement: Settlement;
  readonly #reporting: Reporting;
  readonly #readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  readonly #onFree: (freed: { isTurnOver: boolean }) => void;
  readonly #running = new Map<string, Running>();
  /** Attempts whose code has ended, though their end could not be stored. */
  readonly #unended = new Set<string>();
  readonly #halted = new AbortController();
  #reserved = 0;
  #unreserved: PromiseWithResolvers<void> | null = null;
  #isAbandoned = false;

  constructor(parts: ExecutorParts) {
    this.#host = parts.host;
    this.slots = parts.slots;
    this.#graceMs = parts.graceMs;
    this.#journal = parts.journal;
    this.#settlement = new Settlement({ control: parts.control, halted: this.#halted.signal });
    this.#reporting = { namespace: parts.namespace, watch: parts.watch, log: parts.log };
    this.#readCheckpoint = parts.readCheckpoint;
    this.#onFree = parts.onFree;
  }

  /** Slots that neither run a task nor are held for one. */
  get freeSlots(): number {
    return this.slots - this.#running.size - this.#reserved;
  }

  has(taskId: string): boolean {
    return this.#running.has(taskId);
  }

  /** Whether the code of an attempt that is stored as this process's has been run by it. */
  hasRun({ taskId, attempt }: { taskId: string; attempt: number }): boolean {
    return this.#running.has(taskId) || this.#unended.has(attemptKey({ taskId, attempt }));
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
    if (this.#isAbandoned) return; // Its start was on its way then: it is found by whoever goes on.
    const fence: Fence = { taskId: task.taskId, lease, attempt: task.attempt };
    const running: Running = {
      task,
      timeoutMs: task.attemptDeadlineAt === null ? Infinity : task.attemptDeadlineAt.getTime() - at.getTime(),
      writer: this.#journal.open(fence, { appended, onLost: () => this.#stop(running, "lost") }),
      report: new AttemptReport(task, { ...this.#reporting, at, isResumed }),
      controller: new AbortController(),
      graceOver: Promise.withResolvers(),
      graceTimer: undefined,
      abandoned: Promise.withResolvers(),
      ended: Promise.resolve(),
    };
    // An earlier attempt of the task, which was taken from this process: its code may not have come to its end yet.
    const former = this.#running.get(task.taskId);
    if (former !== undefined) this.#stop(former, "lost");
    this.#running.set(task.taskId, running);
    running.ended = outsideSpans(() => this.#see(running));
  }

  /** Sees an attempt to its end. Never rejects. */
  #see(running: Running): Promise<void> {
    const {
      task,
      writer: { fence },
    } = running;
    return this.#run(running)
      .then((settled) => {
        running.report.end(settled.end, settled.task);
        this.#host.onEnded(fence, settled.isStored);
      })
      .catch((error: unknown) => {
        running.report.end({ outcome: "lost" }, null);
        this.#reporting.log.error({ ...running.report.line, err: error }, "an attempt could not be ended");
        this.#unended.add(attemptKey(task));
      })
      .finally(() => {
        clearTimeout(running.graceTimer);
        if (this.#running.get(task.taskId) === running) this.#running.delete(task.taskId);
        this.#onFree({ isTurnOver: task.exclusiveKey !== null });
      });
  }

  /** Tells the code of a task to stop, if it runs here. The first reason counts. */
  stop(taskId: string, because: StopReason): void {
    const running = this.#running.get(taskId);
    if (running !== undefined) this.#stop(running, because);
  }

  /** Waits until nothing runs here, or for so long. */
  async whenIdle(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([promise, Promise.all([...this.#running.values()].map(({ ended }) => ended))]);
    clearTimeout(timer);
  }

  /**
   * Lets go of everything that runs here and leaves it as it is stored: whoever comes with the same lease goes on with
   * it. What was emitted is still written where that takes no longer than waitMs.
   */
  async abandon(waitMs: number): Promise<void> {
    this.#isAbandoned = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    const running = [...this.#running.values()];
    await Promise.race([promise, Promise.allSettled(running.map(({ writer }) => writer.flush()))]);
    clearTimeout(timer);
    this.#halted.abort();
    for (const { writer, abandoned } of this.#running.values()) {
      abandoned.resolve("abandoned");
      writer.revoke();
    }
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Tells all code to stop; resolves when every task's end is durable, or `halt` fires: then they are left as they are. */
  async stopAll(because: StopReason, halt?: AbortSignal): Promise<void> {
    halt?.addEventListener("abort", () => this.#halted.abort(halt.reason), { once: true });
    if (halt?.aborted) this.#halted.abort(halt.reason);
    for (const running of this.#running.values()) {
      this.#stop(running, because === "shutdown" && this.#host.isResumable(running.task.kind) ? "handover" : because);
    }
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** @throws StoreUnavailable when its end could not be stored until this process was to wait no longer */
  async #run(running: Running): Promise<Settled> {
    const { task, writer, controller, report } = running;
    using _ = this.#deadline(running);
    const lastCheckpoint = () => this.#lastCheckpoint(running);
    const code = this.#host.run({ task, writer, lastCheckpoint, span: report.span }, controller.signal);
    const outcome = await Promise.race([code, running.graceOver.promise, running.abandoned.promise]);
    if (outcome === "abandoned") return { end: { outcome: "moved" }, isStored: false, task: null };
    if (typeof outcome !== "string") return this.#settlement.end(task, writer, outcome);
    this.#reporting.log.warn(
      { ...report.line, because: outcome },
      "the code of a task did not stop within its grace: the task is taken from it",
    );
    return this.#settlement.take(writer, outcome);
  }

  /** Reads through a database that may be away for a while. */
  async #lastCheckpoint({ task, controller: { signal } }: Running): Promise<JsonObject | null> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#readCheckpoint(task);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        if (!(await backoff(failures, signal))) throw signal.reason;
      }
    }
  }

  #stop(running: Running, because: StopReason): void {
    const { controller, graceOver } = running;
    if (controller.signal.aborted) return;
    this.#host.within(running.task, () => controller.abort(new AttemptStopped(because)));
    running.graceTimer = setTimeout(graceOver.resolve, this.#graceMs, because);
  }

  #deadline(running: Running): Disposable {
    const { timeoutMs } = running;
    const isTimed = timeoutMs <= TIMER_MS_MAX;
    const timer = isTimed ? setTimeout(() => this.#stop(running, "deadline"), timeoutMs) : undefined;
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
}
