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

export const SWEEP_MS = 1_000;
/** One commit's worth: small, so that no task stays locked for long. */
const BATCH_MAX = 100;
/** So many failures in a row, and the trouble is not with a task: the rest is left to the next sweep. */
const FAILURES_MAX = 3;
/** How many exclusive keys that tasks wait for one sweep reads. The next sweep goes on behind them. */
const KEYS_MAX = 1_000;
/** Owners end their own overdue tasks; the sweeper is for those that do not, and leaves them this much time to. */
export const OWNERS_TIME_MS = 2_000;

/**
 * Ends or requeues the running tasks that their owner does not: it died, or it does not come back from a cancel or a
 * deadline; ends those that waited past their own deadline; and unblocks those that wait for an exclusive key that is free,
 * though no claim was told so. Every process sweeps, with no leader: each takes tasks
 * that no other has locked, a batch a commit, and decides under the lock.
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
  /** The last key that was read of those that tasks wait for; null: the next sweep begins with the first. */
  #lastKey: string | null = null;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    control: TaskControl;
    /** How long code may go on after it was told to stop. */
    graceMs: number;
    /** How many attempts of a task in a row may end with their process. */
    crashesMax: number;
    /** Whether the sessions of others that have run out are those of the dead. */
    maySweep: () => boolean;
    /** Told of the kinds of tasks that can be claimed now. */
    onUnblocked: (kinds: readonly string[]) => void;
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
    this.#loop = new Loop({ name: "sweeper", everyMs: SWEEP_MS, log: parts.log, turn: () => this.#sweep() });
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /**
   * Takes what a session that is closed has left: for the process that has closed it, which may be the last one.
   *
   * @throws StoreUnavailable
   */
  async takeLeftBy(sessionId: string): Promise<void> {
    const query = { graceMs: 0, limit: BATCH_MAX, only: { lease: sessionId } };
    while ((await this.#take("lost", query)) === BATCH_MAX);
  }

  async #sweep(): Promise<void> {
    const failures: unknown[] = [];
    // No part of a sweep waits for the trouble of another.
    const attempt = async (work: () => Promise<void>) => {
      if (failures.some(isAway)) return;
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
    try {
      const taken = await this.#take(reason, { graceMs, limit: BATCH_MAX });
      // A full batch: there may be more.
      if (taken === BATCH_MAX) this.#loop.kick();
    } catch (error) {
      if (isAway(error)) throw error;
      // The trouble may be with one task of the batch: alone, each harms only itself.
      await this.#takeOneByOne(reason, graceMs);
    }
  }

  /** @throws what the last of FAILURES_MAX failures in a row was */
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

  /** @returns how many were taken */
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

function isAway(error: unknown): boolean {
  return error instanceof StoreUnavailable && !error.isReached;
}
