import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { readBlockers } from "./sessions.ts";
import type { OtherSession } from "./sessions.ts";

/** What a migration does now, or waits for. */
export type MigrationEvent =
  | { type: "stage"; step: string; stage: string }
  | { type: "batch"; step: string; stage: string; rows: number }
  | { type: "applied"; step: string }
  /** Another migration holds the lock. */
  | { type: "locked"; waitedMs: number; sessions: readonly OtherSession[] }
  /** Other sessions block the statement of a stage. */
  | { type: "blocked"; step: string; stage: string; waitedMs: number; sessions: readonly OtherSession[] };

/** How often the blockers of the migration are read. Less than the lock timeout of a short transaction. */
const POLL_MS = 200;
/** Shorter waits are not reported. */
const REPORTED_MS_MIN = 1_000;
/** How often the same sessions are reported again. After so long without a wait, the next one is another one. */
const REPEAT_MS = 10_000;

/** Reports the sessions that are waited for: each set of them after a second, and then every 10 s. */
export class WaitReport {
  readonly #report: (waitedMs: number, sessions: readonly OtherSession[]) => void;
  #sinceMs = 0;
  #latestMs = -Infinity;
  #reportedMs = -Infinity;
  #pids = "";
  /** The sessions that were last waited for. */
  sessions: readonly OtherSession[] = [];

  constructor(report: (waitedMs: number, sessions: readonly OtherSession[]) => void) {
    this.#report = report;
  }

  waitsFor(sessions: readonly OtherSession[]): void {
    const nowMs = performance.now();
    if (nowMs - this.#latestMs > REPEAT_MS) this.#sinceMs = nowMs;
    this.#latestMs = nowMs;
    this.sessions = sessions;
    const waitedMs = nowMs - this.#sinceMs;
    const pids = sessions.map(({ pid }) => pid).join();
    if (waitedMs < REPORTED_MS_MIN || (pids === this.#pids && nowMs - this.#reportedMs < REPEAT_MS)) return;
    this.#pids = pids;
    this.#reportedMs = nowMs;
    this.#report(waitedMs, sessions);
  }
}

/** Reads what blocks a session until it is disposed, on connections of its own. A read that fails is left out. */
export class BlockerWatch implements AsyncDisposable {
  readonly #db: Kysely<Database>;
  readonly #pid: number;
  readonly #onBlocked: (sessions: readonly OtherSession[]) => void;
  readonly #timer: NodeJS.Timeout;
  #reading: Promise<void> | null = null;

  constructor(db: Kysely<Database>, pid: number, onBlocked: (sessions: readonly OtherSession[]) => void) {
    this.#db = db;
    this.#pid = pid;
    this.#onBlocked = onBlocked;
    this.#timer = setInterval(() => void (this.#reading ??= this.#read()), POLL_MS);
  }

  async #read(): Promise<void> {
    try {
      const sessions = await readBlockers(this.#db, this.#pid);
      if (sessions.length > 0) this.#onBlocked(sessions);
    } catch {
      // The migration goes on without the report.
    } finally {
      this.#reading = null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }
}
