import type { Logger } from "pino";
import { LeaseLost, StoreUnavailable } from "../domain/errors.ts";
import type { Kind } from "../domain/kind.ts";
import { endAttempt, stopAttempt } from "../domain/lifecycle.ts";
import type { AttemptOutcome, StopReason, Transition } from "../domain/lifecycle.ts";
import type { Fence, Task } from "../domain/task.ts";
import { AttemptStopped, runAttempt } from "./attempt.ts";
import { backoff } from "./backoff.ts";
import type { Control } from "./control.ts";
import type { Journal } from "./journal.ts";
import type { TapeWriter } from "./tape-writer.ts";

interface Running {
  task: Task;
  writer: TapeWriter;
  controller: AbortController;
  /** Resolves when the code was told to stop and its grace has passed. */
  graceOver: PromiseWithResolvers<StopReason>;
  graceTimer: NodeJS.Timeout | undefined;
  ended: Promise<void>;
}

/** The longest delay of a timer. The sweeper sees to attempts whose timeout is longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Runs the attempts of this process's kinds, a bounded number at once, each from its first event to the durable end of
 * its task. Code that is told to stop has a grace; if it has not ended by then the task is taken from it, its slot is
 * free, and what it still emits is refused.
 */
export class Executor {
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #slots: number;
  readonly #graceMs: number;
  readonly #journal: Journal;
  readonly #control: Control;
  readonly #log: Logger;
  readonly #onFree: () => void;
  readonly #running = new Map<string, Running>();
  readonly #halted = new AbortController();
  #reserved = 0;

  constructor(parts: {
    kinds: ReadonlyMap<string, Kind>;
    slots: number;
    graceMs: number;
    journal: Journal;
    control: Control;
    log: Logger;
    /** Called whenever a slot has become free. */
    onFree: () => void;
  }) {
    this.#kinds = parts.kinds;
    this.#slots = parts.slots;
    this.#graceMs = parts.graceMs;
    this.#journal = parts.journal;
    this.#control = parts.control;
    this.#log = parts.log;
    this.#onFree = parts.onFree;
  }

  /** Slots that neither run a task nor are held for one. */
  get freeSlots(): number {
    return this.#slots - this.#running.size - this.#reserved;
  }

  has(taskId: string): boolean {
    return this.#running.has(taskId);
  }

  /** The tasks that run here. */
  running(): string[] {
    return [...this.#running.keys()];
  }

  /** Holds up to so many slots for tasks that are about to be running. @returns how many; each is to be released */
  reserve(slotsMax: number): number {
    const slots = Math.max(0, Math.min(slotsMax, this.freeSlots));
    this.#reserved += slots;
    return slots;
  }

  release(slots: number): void {
    this.#reserved -= slots;
  }

  /** Runs an attempt that is stored as running under the lease. */
  run(task: Task, lease: string): void {
    const kind = this.#kinds.get(task.kind)!;
    const fence: Fence = { taskId: task.taskId, lease, attempt: task.attempt };
    const running: Running = {
      task,
      writer: this.#journal.open(fence, () => this.#stop(running, "lost")),
      controller: new AbortController(),
      graceOver: Promise.withResolvers(),
      graceTimer: undefined,
      ended: Promise.resolve(),
    };
    // An earlier attempt of the task, which was taken from this process: its code may not have come to its end yet.
    const former = this.#running.get(task.taskId);
    if (former !== undefined) this.#stop(former, "lost");
    this.#running.set(task.taskId, running);
    running.ended = this.#run(kind, running)
      .catch((error: unknown) => this.#log.error({ err: error, task_id: task.taskId }, "an attempt could not be ended"))
      .finally(() => {
        clearTimeout(running.graceTimer);
        if (this.#running.get(task.taskId) === running) this.#running.delete(task.taskId);
        this.#onFree();
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

  /** Tells all code to stop; resolves when every task's end is durable, or `halt` fires: then they are left as they are. */
  async stopAll(because: StopReason, halt?: AbortSignal): Promise<void> {
    halt?.addEventListener("abort", () => this.#halted.abort(halt.reason), { once: true });
    if (halt?.aborted) this.#halted.abort(halt.reason);
    for (const running of this.#running.values()) this.#stop(running, because);
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #run(kind: Kind, running: Running): Promise<void> {
    const { task, writer, controller } = running;
    // Said with the line and not by a child of the log, which every task would pay for and few write to.
    const which = { task_id: task.taskId, kind: task.kind, attempt: task.attempt };
    using _ = this.#deadline(running);
    const code = runAttempt({ kind, task, writer }, controller.signal, (error) =>
      this.#log.warn({ ...which, err: error }, "the code of a task threw"),
    );
    const outcome = await Promise.race([code, running.graceOver.promise]);
    if (typeof outcome !== "string") return this.#end(running, outcome);
    this.#log.warn(
      { ...which, because: outcome },
      "the code of a task did not stop within its grace: the task is taken from it",
    );
    writer.revoke();
    await this.#change(running, (stored) => stopAttempt(stored, outcome));
  }

  /** Makes the end of the code the end of the attempt. */
  async #end(running: Running, outcome: AttemptOutcome): Promise<void> {
    const { task, writer } = running;
    const isStopped = outcome.type === "threw" && outcome.because !== null;
    const transition = endAttempt({ ...task, status: "running" }, outcome);
    try {
      if (transition.type === "end" && !isStopped) return await writer.end(transition.event, transition.status);
      // What is stored decides: it may have been asked to cancel by somebody else in the meantime.
      await writer.flush();
      await this.#change(running, (stored) => endAttempt(stored, outcome));
    } catch (error) {
      // Lost: whoever took the task has ended it, or will.
      if (error instanceof LeaseLost) return;
      // The database stayed away until this process was to wait no longer.
      if (error instanceof StoreUnavailable) throw error;
      const refused = { reason: "KIND_FAILED", message: "the database refused what the code emitted" };
      await this.#change(running, (stored) => endAttempt(stored, { type: "threw", failure: refused, because: null }));
    }
  }

  /** Sees a transition of an owned task through a database that may be away for a while. */
  async #change({ writer: { fence } }: Running, decide: (task: Task) => Transition): Promise<void> {
    for (let failures = 1; ; failures++) {
      try {
        await this.#control.changeOwned(fence, decide);
        return;
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || !(await backoff(failures, this.#halted.signal))) throw error;
      }
    }
  }

  #stop(running: Running, because: StopReason): void {
    const { controller, graceOver } = running;
    if (controller.signal.aborted) return;
    controller.abort(new AttemptStopped(because));
    running.graceTimer = setTimeout(graceOver.resolve, this.#graceMs, because);
  }

  #deadline(running: Running): Disposable {
    const { timeoutMs } = running.task;
    const isTimed = timeoutMs !== null && timeoutMs <= TIMER_MS_MAX;
    const timer = isTimed ? setTimeout(() => this.#stop(running, "deadline"), timeoutMs) : undefined;
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
}
