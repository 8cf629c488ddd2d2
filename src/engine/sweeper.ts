import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { endWithProcess, expire, stopAttempt } from "../domain/lifecycle.ts";
import type { Database } from "../store/schema.ts";
import { removeExpiredSessions } from "../store/session-queries.ts";
import type { OverdueReason } from "../store/sweep-queries.ts";
import type { Control } from "./control.ts";
import { Loop } from "./loop.ts";

export const SWEEP_MS = 1_000;
/** One commit's worth: small, so that no task stays locked for long. */
const BATCH_MAX = 100;
/** Owners end their own overdue tasks; the sweeper is for those that do not, and leaves them this much time to. */
export const OWNERS_TIME_MS = 2_000;

/**
 * Ends or requeues the running tasks that their owner does not: it died, or it does not come back from a cancel or a
 * deadline; and ends those that waited past their own deadline. Every process sweeps, with no leader: each takes tasks
 * that no other has locked, a batch a commit, and decides under the lock.
 */
export class Sweeper {
  readonly #db: Kysely<Database>;
  readonly #control: Control;
  readonly #graceMs: number;
  readonly #crashesMax: number;
  readonly #maySweep: () => boolean;
  readonly #loop: Loop;

  constructor(parts: {
    db: Kysely<Database>;
    control: Control;
    /** How long code may go on after it was told to stop. */
    graceMs: number;
    /** How many attempts of a task in a row may end with their process. */
    crashesMax: number;
    /** Whether the sessions of others that have run out are those of the dead. */
    maySweep: () => boolean;
    log: Logger;
  }) {
    this.#db = parts.db;
    this.#control = parts.control;
    this.#graceMs = parts.graceMs;
    this.#crashesMax = parts.crashesMax;
    this.#maySweep = parts.maySweep;
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
    if (!this.#maySweep()) return;
    await this.#takeOverdue("lost", 0);
    await this.#takeOverdue("cancel", this.#graceMs + OWNERS_TIME_MS);
    await this.#takeOverdue("deadline", this.#graceMs + OWNERS_TIME_MS);
    await removeExpiredSessions(this.#db);
  }

  async #takeOverdue(reason: OverdueReason, graceMs: number): Promise<void> {
    const death = { crashesMax: this.#crashesMax, message: null };
    const taken = await this.#control.changeOverdue({ reason, graceMs, limit: BATCH_MAX }, (task, moment) => {
      if (reason === "expired") return expire(task, moment);
      return reason === "lost" && moment.hasDied
        ? endWithProcess(task, death, moment)
        : stopAttempt(task, reason, moment);
    });
    // A full batch: there may be more.
    if (taken.length === BATCH_MAX) this.#loop.kick();
  }
}
