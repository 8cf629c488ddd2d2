import { TIMER_MS_MAX } from "../../async/time-limit.ts";
import { AttemptStopped } from "../../domain/attempt.ts";
import { StoreUnavailable } from "../../domain/errors.ts";
import type { StopReason } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import { sqlstateOf } from "../../store/errors.ts";
import type { AttemptReport } from "./attempt-report.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** An attempt whose code has ended, and whose end is not stored. */
export interface UnstoredEnd {
  task: Task;
  /** How long ago its code ended, in milliseconds. */
  forMs: number;
  /** What keeps it from being stored, without texts of the database. */
  reason: string;
}

/** An attempt that this process runs, from its first event to its durable end. */
export class RunningAttempt {
  readonly task: Task;
  readonly writer: TapeWriter;
  readonly report: AttemptReport;
  /** Resolves when the attempt is over here. Never rejects. */
  ended: Promise<void> = Promise.resolve();
  readonly #graceMs: number;
  readonly #within: (work: () => void) => void;
  readonly #controller = new AbortController();
  readonly #graceOver = Promise.withResolvers<StopReason>();
  readonly #abandoned = Promise.withResolvers<"abandoned">();
  #graceTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #codeEndedAt: number | null = null;
  #endFailure: unknown = null;

  /**
   * @param open opens its tape; given what to call when the task turns out to be another process's
   * @param timeoutMs how long it may run from now on; Infinity: without end
   * @param graceMs how long its code may go on after it was told to stop
   * @param within does what sets its code off: what that throws is then the attempt's
   */
  constructor(
    task: Task,
    parts: {
      open: (onLost: () => void) => TapeWriter;
      report: AttemptReport;
      timeoutMs: number;
      graceMs: number;
      within: (work: () => void) => void;
    },
  ) {
    this.task = task;
    this.report = parts.report;
    this.#graceMs = parts.graceMs;
    this.#within = parts.within;
    this.writer = parts.open(() => this.stop("lost"));
    // The sweeper ends attempts whose timeout is longer.
    if (parts.timeoutMs <= TIMER_MS_MAX) {
      this.#deadlineTimer = setTimeout(() => this.stop("deadline"), parts.timeoutMs);
    }
  }

  /** Fires with AttemptStopped when the code should stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Tells the code to stop. The first reason counts. */
  stop(because: StopReason): void {
    if (this.signal.aborted) return;
    this.#within(() => this.#controller.abort(new AttemptStopped(because)));
    this.#graceTimer = setTimeout(this.#graceOver.resolve, this.#graceMs, because);
  }

  /** Leaves the attempt as it is stored: another process goes on with it. */
  abandon(): void {
    this.#abandoned.resolve("abandoned");
    this.writer.revoke();
  }

  /** @returns how the code ended; or why it was to stop, where its grace has passed; or that the attempt is abandoned */
  async outcomeOf<Outcome>(code: Promise<Outcome>): Promise<Outcome | StopReason | "abandoned"> {
    const outcome = await Promise.race([code, this.#graceOver.promise, this.#abandoned.promise]);
    this.#codeEndedAt = performance.now();
    clearTimeout(this.#deadlineTimer);
    return outcome;
  }

  /** Its end could not be stored. @returns whether that is the first time */
  failedToEnd(error: unknown): boolean {
    const isFirst = this.#endFailure === null;
    this.#endFailure = error;
    return isFirst;
  }

  /** null: its code runs, or ended less than so long ago. */
  unstoredEnd(forMsMin: number): UnstoredEnd | null {
    const forMs = this.#codeEndedAt === null ? -1 : performance.now() - this.#codeEndedAt;
    return forMs < forMsMin ? null : { task: this.task, forMs, reason: this.#unstoredBecause() };
  }

  #unstoredBecause(): string {
    if (this.#endFailure === null) return "the journal has not written it yet";
    const sqlstate = sqlstateOf(this.#endFailure);
    if (sqlstate !== undefined) return `the database answers SQLSTATE ${sqlstate}`;
    return this.#endFailure instanceof StoreUnavailable ? this.#endFailure.message : "for a reason that the log has";
  }

  /** Stops its timers. */
  dispose(): void {
    clearTimeout(this.#deadlineTimer);
    clearTimeout(this.#graceTimer);
  }
}
