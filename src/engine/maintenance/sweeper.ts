import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { StoreUnavailable } from "../../domain/errors.ts";
import { endWithProcess, expire, stopAttempt } from "../../domain/lifecycle.ts";
import { unblockTasks } from "../../store/tasks/blocked-tasks.ts";
import type { Database } from "../../store/schema.ts";
import { sqlstateOf } from "../../store/errors.ts";
import { removeExpiredSessions } from "../../store/session-queries.ts";
import { readOverdueTasks } from "../../store/tasks/sweep-queries.ts";
import type { OverdueFilter, OverdueReason } from "../../store/tasks/sweep-queries.ts";
import type { TaskControl } from "../attempt/task-control.ts";
import { Loop } from "../../async/loop.ts";
import { ScanPace } from "../../async/scan-pace.ts";

export const SWEEP_MS = 1_000;
/** The most tasks in one commit: few, so that no task stays locked for long. */
const BATCH_MAX = 100;
/** After so many failures in a row, the cause is not one task, and the next sweep takes the rest. */
const FAILURES_MAX = 3;
/** The most exclusive keys with waiting tasks that one sweep reads. The next sweep continues after them. */
const KEYS_MAX = 1_000;
/** How long owners get to end their own overdue tasks before the sweeper does, in ms. */
export const OWNERS_TIME_MS = 2_000;

/**
 * Ends or requeues running tasks whose owner does not: the owner has died, or the code does not end after a cancel or a
 * deadline. Ends tasks that have waited past their own deadline. Unblocks tasks that wait for an exclusive key that is
 * free, in case no claim was notified. Every server sweeps, without a leader: each takes tasks that no other server has
 * locked, one batch per commit, and decides under the lock.
 */
export class Sweeper {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #control: TaskControl;
  readonly #graceMs: number;
  readonly #crashesMax: number;
  readonly #maySweep: () => boolean;
  readonly #log: Logger;
  readonly #onUnblocked: (kinds: readonly string[]) => void;
  readonly #loop: Loop;
  /** Of scans that find no overdue task. A scan for lost tasks is never delayed: it reads no tasks of live sessions. */
  readonly #paces: Record<Exclude<OverdueReason, "lost">, ScanPace> = {
    cancel: new ScanPace(),
    deadline: new ScanPace(),
    expired: new ScanPace(),
  };
  /** The last exclusive key that a sweep has read; null: the next sweep begins with the first. */
  #lastKey: string | null = null;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    control: TaskControl;
    /** How long code may run on after it was asked to stop, in ms. */
    graceMs: number;
    /** After how many consecutive process deaths during its attempts a task ends. */
    crashesMax: number;
    /** Whether the processes of expired sessions are dead. */
    maySweep: () => boolean;
    /** Called with the kinds of tasks that can be claimed now. */
    onUnblocked: (kinds: readonly string[]) => void;
    /** Whether the last check has found no task that waits or runs, and no session to remove. */
    isIdle: () => boolean;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    this.#log = parts.log;
    this.#control = parts.control;
    this.#graceMs = parts.graceMs;
    this.#crashesMax = parts.crashesMax;
    this.#maySweep = parts.maySweep;
    this.#onUnblocked = parts.onUnblocked;
    const { isIdle } = parts;
    this.#loop = new Loop({ name: "sweeper", everyMs: SWEEP_MS, log: parts.log, isIdle, turn: () => this.#sweep() });
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  /** Sweeps now. */
  kick(): void {
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /**
   * Takes the tasks that a closed session has left. The process that closed it calls this, as it may be the last one.
   *
   * @throws StoreUnavailable
   */
  async takeLeftBy(sessionId: string): Promise<void> {
    const query = { graceMs: 0, limit: BATCH_MAX, only: { lease: sessionId } };
    while ((await this.#take("lost", query)) === BATCH_MAX);
  }

  async #sweep(): Promise<void> {
    const failures: unknown[] = [];
    // A failure of one part of a sweep does not stop the others, unless the database cannot be reached.
    const attempt = async (work: () => Promise<void>) => {
      if (failures.some(isUnreachable)) return;
      await work().catch((error: unknown) => failures.push(error));
    };
    await attempt(() => this.#takeOverdue("expired", 0));
    await attempt(() => this.#unblock());
    if (this.#maySweep()) {
      await attempt(() => this.#takeOverdue("lost", 0));
      await attempt(() => this.#takeOverdue("cancel", this.#graceMs + OWNERS_TIME_MS));
      await attempt(() => this.#takeOverdue("deadline", this.#graceMs + OWNERS_TIME_MS));
      await attempt(() => removeExpiredSessions(this.#db));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #unblock(): Promise<void> {
    const query = { namespace: this.#namespace, after: this.#lastKey, limit: KEYS_MAX };
    const { kinds, lastKey } = await unblockTasks(this.#db, query);
    this.#lastKey = lastKey;
    if (kinds.length > 0) this.#onUnblocked(kinds);
  }

  async #takeOverdue(reason: OverdueReason, graceMs: number): Promise<void> {
    const pace = reason === "lost" ? null : this.#paces[reason];
    if (pace?.isDue === false) return;
    try {
      const take = () => this.#take(reason, { graceMs, limit: BATCH_MAX });
      const taken = await (pace === null ? take() : pace.run(take, (count) => count > 0));
      // A full batch: there may be more.
      if (taken === BATCH_MAX) this.#loop.kick();
    } catch (error) {
      if (isUnreachable(error)) throw error;
      // One task of the batch may be the cause. Taken alone, each task harms only itself.
      await this.#takeOneByOne(reason, graceMs);
    }
  }

  /** Takes overdue tasks one by one. @throws the last of FAILURES_MAX errors in a row */
  async #takeOneByOne(reason: OverdueReason, graceMs: number): Promise<void> {
    const query = { namespace: this.#namespace, reason, graceMs, lateMs: 0 };
    let failures = 0;
    for (const { taskId, attempt } of await readOverdueTasks(this.#db, query)) {
      try {
        await this.#take(reason, { graceMs, limit: 1, only: { task_id: taskId } });
        failures = 0;
      } catch (error) {
        const fields = { err: error, task_id: taskId, attempt, because: reason, sqlstate: sqlstateOf(error) };
        this.#log.warn(fields, "sweeper: task not taken, retrying with the next sweep");
        if (++failures === FAILURES_MAX) throw error;
      }
    }
  }

  /** Takes up to a limit of overdue tasks in one commit. @returns how many were taken */
  async #take(reason: OverdueReason, query: { graceMs: number; limit: number; only?: OverdueFilter }): Promise<number> {
    const death = { crashesMax: this.#crashesMax, message: null };
    const taken = await this.#control.changeOverdue({ reason, ...query }, (task, context) => {
      if (reason === "expired") return expire(task, context);
      return reason === "lost" && context.hasDied
        ? endWithProcess(task, death, context)
        : stopAttempt(task, reason, context);
    });
    return taken.length;
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof StoreUnavailable && !error.isReached;
}
