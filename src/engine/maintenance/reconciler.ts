import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { SESSION_STALLED_TASKS_MAX } from "../../domain/limits.ts";
import type { StalledTask } from "../../domain/session.ts";
import { findOwnedAmong, findOwnedTasks, readOwnedTask } from "../../store/tasks/owned-tasks.ts";
import type { OwnedTask } from "../../store/tasks/owned-tasks.ts";
import type { Database } from "../../store/schema.ts";
import type { Executor } from "../attempt/executor.ts";
import { Loop } from "../../async/loop.ts";
import { ScanPace } from "../../async/scan-pace.ts";

const RECONCILE_MS = 1_000;
/** How long a task may be stored as this process's without running here: its start or claim may be on its way. */
const UNSTARTED_MS = 2_000;
/** How long an end may take to be stored before it is reported: the time of two flushes that were retried. */
export const UNSTORED_MS = 2_000;

/** A task that is stored as this process's but does not run here. */
interface Suspect {
  attempt: number;
  /** When this was first found, by performance.now(). */
  since: number;
}

/**
 * Compares the tasks that run under a session with those that are stored as the session's. Does so every second, and
 * when another process has changed one of them. Stops the code of a task that was cancelled or taken through another
 * process. An unstarted task is one that this process has never run, because the answer to its start or claim was lost.
 * Reports tasks that are stored as running and do not run as stalled, for as long as that lasts.
 */
export class Reconciler {
  readonly #db: Kysely<Database>;
  readonly #executor: Executor;
  readonly #lease: () => string;
  readonly #isFresh: () => boolean;
  readonly #onUnstartedTask: (unstarted: OwnedTask) => Promise<void>;
  readonly #onStalled: (stalled: readonly StalledTask[]) => void;
  readonly #log: Logger;
  readonly #loop: Loop;
  readonly #pace = new ScanPace();
  /** Tasks that this process seems not to run, by id. */
  #suspects = new Map<string, Suspect>();
  /** How many tasks were reported last. */
  #stalled = 0;
  /** Why an unstarted task could not be run or released, by its id. */
  readonly #failures = new Map<string, string>();

  constructor(parts: {
    db: Kysely<Database>;
    executor: Executor;
    lease: () => string;
    /** Whether the session may run what it owns. */
    isFresh: () => boolean;
    /** Called with a task that is stored as the session's and that this process has never run. */
    onUnstartedTask: (unstarted: OwnedTask) => Promise<void>;
    /** Called with each comparison, with the tasks that are stored as running and do not run. */
    onStalled: (stalled: readonly StalledTask[]) => void;
    /** Whether the last check has found no task that runs. */
    isIdle: () => boolean;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#executor = parts.executor;
    this.#lease = parts.lease;
    this.#isFresh = parts.isFresh;
    this.#onUnstartedTask = parts.onUnstartedTask;
    this.#onStalled = parts.onStalled;
    this.#log = parts.log;
    const isIdle = () => this.#isSettled && parts.isIdle();
    const turn = () => this.#reconcile();
    this.#loop = new Loop({ name: "reconciler", everyMs: RECONCILE_MS, log: parts.log, isIdle, turn });
  }

  /** Whether the last comparison has left nothing to follow up, and no task runs here. */
  get #isSettled(): boolean {
    return this.#executor.busy === 0 && this.#suspects.size === 0 && this.#stalled === 0;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Called when another process has changed a task that runs here. */
  onTouched(): void {
    this.#loop.kick();
  }

  async #reconcile(): Promise<void> {
    this.#executor.freeHeldSlots();
    this.#reportStalled();
    const lease = this.#lease();
    const running = this.#executor.running(); // Before the read, so that all of these are stored by then.
    // Between two scans for unstarted tasks, only the known tasks are read.
    const owned = await (this.#pace.isDue
      ? this.#pace.run(() => findOwnedTasks(this.#db, lease))
      : findOwnedAmong(this.#db, { lease, taskIds: [...running, ...this.#suspects.keys()] }));
    const stored = new Set(owned.map(({ taskId }) => taskId));
    for (const { taskId, cancelRequestedAt } of owned) {
      if (cancelRequestedAt !== null) this.#executor.stop(taskId, "cancel");
    }
    for (const taskId of running) if (!stored.has(taskId)) this.#executor.stop(taskId, "lost");
    if (this.#isFresh()) await this.#startUnstarted(lease, owned);
  }

  async #startUnstarted(lease: string, owned: readonly { taskId: string; attempt: number }[]): Promise<void> {
    const now = performance.now();
    const unknown = owned.filter(({ taskId }) => !this.#executor.has(taskId));
    this.#suspects = new Map(
      unknown.map(({ taskId, attempt }) => {
        const before = this.#suspects.get(taskId);
        return [taskId, before?.attempt === attempt ? before : { attempt, since: now }];
      }),
    );
    for (const taskId of this.#failures.keys()) if (!this.#suspects.has(taskId)) this.#failures.delete(taskId);
    for (const { taskId, attempt } of unknown) {
      if (now - this.#suspects.get(taskId)!.since < UNSTARTED_MS) continue;
      try {
        const found = await readOwnedTask(this.#db, { taskId, lease, attempt });
        if (found !== undefined && !this.#executor.has(taskId)) await this.#onUnstartedTask(found);
      } catch (error) {
        // The other tasks must not wait for this one. The next comparison finds it again.
        if (!this.#failures.has(taskId)) {
          this.#log.warn(
            { err: error, task_id: taskId, attempt },
            "reconciler: unstarted task neither run nor released, retrying",
          );
        }
        this.#failures.set(taskId, error instanceof Error ? error.message : "unknown");
      }
    }
  }

  #reportStalled(): void {
    const now = performance.now();
    const stalled = this.#executor
      .unstoredEnds(UNSTORED_MS)
      .map(({ task: { taskId, attempt }, forMs, reason }): StalledTask => ({
        taskId,
        attempt,
        forMs: Math.round(forMs),
        reason: `its code has ended but the end is not stored: ${reason}`,
      }));
    for (const [taskId, { attempt, since }] of this.#suspects) {
      const forMs = Math.round(now - since);
      if (forMs < 2 * UNSTARTED_MS || this.#executor.has(taskId)) continue;
      const because = this.#failures.get(taskId) ?? "the session was not renewed in time, or its worker is silent";
      stalled.push({ taskId, attempt, forMs, reason: `the process that owns it does not run it: ${because}` });
    }
    this.#stalled = stalled.length;
    this.#onStalled(stalled.slice(0, SESSION_STALLED_TASKS_MAX));
  }
}
