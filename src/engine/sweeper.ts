import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { expire, stopAttempt } from "../domain/lifecycle.ts";
import { unblockTasks } from "../store/blocked-tasks.ts";
import type { Database } from "../store/schema.ts";
import { removeExpiredSessions } from "../store/session-queries.ts";
import type { OverdueReason } from "../store/sweep-queries.ts";
import type { Control } from "./control.ts";
import { Loop } from "./loop.ts";

export const SWEEP_MS = 1_000;
/** One commit's worth: small, so that no task stays locked for long. */
const BATCH_MAX = 100;
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
  readonly #control: Control;
  readonly #graceMs: number;
  readonly #maySweep: () => boolean;
  readonly #namespace: string;
  readonly #onUnblocked: (kinds: readonly string[]) => void;
  readonly #loop: Loop;
  /** Where the next sweep begins among the keys that tasks wait for; null: at the first. */
  #nextKey: string | null = null;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    control: Control;
    /** How long code may go on after it was told to stop. */
    graceMs: number;
    /** Whether the sessions of others that have run out are those of the dead. */
    maySweep: () => boolean;
    /** Told of the kinds of tasks that can be claimed now. */
    onUnblocked: (kinds: readonly string[]) => void;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#control = parts.control;
    this.#graceMs = parts.graceMs;
    this.#maySweep = parts.maySweep;
    this.#namespace = parts.namespace;
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

  async #sweep(): Promise<void> {
    await this.#takeOverdue("expired", 0);
    await this.#unblock();
    if (!this.#maySweep()) return;
    await this.#takeOverdue("lost", 0);
    await this.#takeOverdue("cancel", this.#graceMs + OWNERS_TIME_MS);
    await this.#takeOverdue("deadline", this.#graceMs + OWNERS_TIME_MS);
    await removeExpiredSessions(this.#db);
  }

  async #unblock(): Promise<void> {
    const query = { namespace: this.#namespace, from: this.#nextKey, limit: KEYS_MAX };
    const { kinds, lastKey } = await unblockTasks(this.#db, query);
    this.#nextKey = lastKey;
    if (kinds.length > 0) this.#onUnblocked(kinds);
  }

  async #takeOverdue(reason: OverdueReason, graceMs: number): Promise<void> {
    const taken = await this.#control.changeOverdue({ reason, graceMs, limit: BATCH_MAX }, (task, moment) =>
      reason === "expired" ? expire(task, moment) : stopAttempt(task, reason, moment),
    );
    // A full batch: there may be more.
    if (taken.length === BATCH_MAX) this.#loop.kick();
  }
}
