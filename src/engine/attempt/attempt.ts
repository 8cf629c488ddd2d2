import { AttemptStopped, toFailure } from "../../domain/attempt.ts";
import { StoreUnavailable } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { STOP_FAILURES } from "../../domain/lifecycle.ts";
import type { AttemptOutcome, StopReason } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { isContentError, sqlstateOf } from "../../store/errors.ts";
import { outsideSpans } from "../../telemetry/trace-context.ts";
import { retryWhile } from "../../async/retry.ts";
import { TIMER_MS_MAX } from "../../async/time-limit.ts";
import type { AttemptFinalizer, FinalizedAttempt } from "./attempt-finalizer.ts";
import type { AttemptHost } from "./attempt-host.ts";
import { AttemptReport } from "./attempt-report.ts";
import type { Reporting } from "./attempt-report.ts";
import { TapeQuota } from "../write/tape-quota.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** An attempt whose code has ended, and whose end is not stored yet. */
export interface UnstoredEnd {
  task: Task;
  /** The time since the code ended, in milliseconds. */
  forMs: number;
  /** Why the end is not stored, without message texts of the database. */
  reason: string;
}

/** The parts that all attempts of an executor share. */
export interface AttemptSurroundings {
  host: AttemptHost;
  finalizer: AttemptFinalizer;
  reporting: Reporting;
  /** How long code may continue after it was told to stop. */
  graceMs: number;
  /** Reads the last checkpoint of earlier attempts. @throws StoreUnavailable */
  readCheckpoint: (task: Task) => Promise<JsonObject | null>;
  /** Reads how many bytes the events of a task have. @throws StoreUnavailable */
  readTapeBytes: (taskId: string) => Promise<number>;
  /** The limits of the namespace. */
  limits: () => Limits;
}

/** The end of an attempt that has emitted more than its namespace allows. */
const OVER_LIMIT: AttemptOutcome = { type: "threw", failure: STOP_FAILURES.limit, because: "limit", isFinal: true };

interface AttemptParts {
  /** When the attempt began, or was read as running, by the database's clock. */
  at: Date;
  /** Whether the attempt continues here after another process. */
  isResumed: boolean;
  /**
   * Opens the tape.
   *
   * @param quota what the attempt may append; null: any number of events
   * @param onLost called when the journal finds that another process owns the task
   */
  openTape: (quota: TapeQuota | null, onLost: () => void) => TapeWriter;
  /** Called when the code has ended by itself, before the end is stored. */
  onCodeEnded: (attempt: Attempt) => void;
  /** Called when the attempt is over here. */
  onEnded: (attempt: Attempt) => void;
}

/**
 * One attempt that this process runs, from its first event to its durable end:
 *
 *   begin ──▶ the code runs ──▶ the code has ended ──▶ the end is stored
 *                   │ stop            ▲                   ▲
 *                   ├─▶ grace ────────┘                   │
 *                   │     └─▶ the grace is over ──────────┘ the task is taken from the code
 *                   └ abandon ──▶ left as stored: another process continues
 */
export class Attempt {
  readonly task: Task;
  readonly writer: TapeWriter;
  readonly #surroundings: AttemptSurroundings;
  readonly #parts: AttemptParts;
  readonly #report: AttemptReport;
  readonly #controller = new AbortController();
  readonly #graceOver = Promise.withResolvers<StopReason>();
  readonly #abandoned = Promise.withResolvers<"abandoned">();
  #graceTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();
  #codeEndedAt: number | null = null;
  /** The latest error when storing the end. */
  #endFailure: unknown = null;

  constructor(task: Task, surroundings: AttemptSurroundings, parts: AttemptParts) {
    const { at, isResumed, openTape } = parts;
    this.task = task;
    this.#surroundings = surroundings;
    this.#parts = parts;
    this.writer = openTape(this.#openQuota(), () => this.stop("lost"));
    this.#report = new AttemptReport(task, { ...surroundings.reporting, at, isResumed });
    const { attemptDeadlineAt } = task;
    const timeoutMs = attemptDeadlineAt === null ? Infinity : attemptDeadlineAt.getTime() - at.getTime();
    // The sweeper ends attempts whose timeout is longer.
    if (timeoutMs <= TIMER_MS_MAX) this.#deadlineTimer = setTimeout(() => this.stop("deadline"), timeoutMs);
  }

  /** Resolves when the attempt is over here. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Runs the code, and stores its end. Call once. */
  begin(): void {
    this.#ended = outsideSpans(() => this.#runToEnd());
  }

  /** Tells the code to stop. The first reason counts. */
  stop(because: StopReason): void {
    const { host, graceMs } = this.#surroundings;
    const { signal } = this.#controller;
    if (signal.aborted) return;
    // Errors that the code throws in reaction to the signal count as the attempt's.
    host.within(this.task, () => this.#controller.abort(new AttemptStopped(because)));
    this.#graceTimer = setTimeout(this.#graceOver.resolve, graceMs, because);
  }

  /** Leaves the attempt as it is stored. Another process continues it. */
  abandon(): void {
    this.#abandoned.resolve("abandoned");
    this.writer.revoke();
  }

  /** Returns the unstored end; null if the code runs, or ended less than forMsMin ago. */
  unstoredEnd(forMsMin: number): UnstoredEnd | null {
    const forMs = this.#codeEndedAt === null ? -1 : performance.now() - this.#codeEndedAt;
    return forMs < forMsMin ? null : { task: this.task, forMs, reason: this.#unstoredReason() };
  }

  async #runToEnd(): Promise<void> {
    const { host, reporting } = this.#surroundings;
    try {
      const { end, task, isStored } = await this.#settle(await this.#run());
      this.#report.end(end, task);
      host.onEnded(this.writer.fence, isStored);
    } catch (error) {
      // Happens only after the halt. Other servers take the task after the session expires.
      this.#report.end({ outcome: "lost" }, null);
      reporting.log.error({ ...this.#report.logFields, err: error }, "attempt: end not stored before the stop");
    } finally {
      clearTimeout(this.#deadlineTimer);
      clearTimeout(this.#graceTimer);
      this.#parts.onEnded(this);
    }
  }

  /** @returns how the code ended; or the reason to stop, if the grace expired; or that the attempt is abandoned */
  async #run(): Promise<AttemptOutcome | StopReason | "abandoned"> {
    const outcome = await Promise.race([this.#runCode(), this.#graceOver.promise, this.#abandoned.promise]);
    this.#codeEndedAt = performance.now();
    clearTimeout(this.#deadlineTimer);
    return outcome;
  }

  /** Never rejects, even if the host does: a task must not stay running without code. */
  async #runCode(): Promise<AttemptOutcome> {
    const { task, writer } = this;
    const { host, reporting } = this.#surroundings;
    const lastCheckpoint = () => this.#lastCheckpoint();
    try {
      const outcome = await host.run(
        { task, writer, lastCheckpoint, span: this.#report.span },
        this.#controller.signal,
      );
      // A result does not count if events before it were refused. The code may not have waited for them.
      return writer.isOverLimit && outcome.type === "returned" ? OVER_LIMIT : outcome;
    } catch (error) {
      reporting.log.error({ err: error, task_id: task.taskId }, "attempt: host failed to run the code");
      return { type: "threw", failure: toFailure(error), because: null, isFinal: false };
    }
  }

  /** Returns the quota of the attempt; null if the namespace does not limit tapes. */
  #openQuota(): TapeQuota | null {
    const { limits, readTapeBytes, reporting } = this.#surroundings;
    const { eventsPerTask, bytesPerTask } = limits();
    if (eventsPerTask === undefined && bytesPerTask === undefined) return null;
    const { taskId, lastSeq } = this.task;
    const quota = new TapeQuota(limits(), { events: Number(lastSeq), onExceeded: () => this.stop("limit") });
    // The first event says only that the attempt has started.
    if (bytesPerTask !== undefined && lastSeq > 1n) {
      readTapeBytes(taskId).then(
        (bytes) => quota.addStored(bytes),
        (error: unknown) =>
          reporting.log.warn({ err: error, task_id: taskId }, "attempt: bytes of the tape not counted"),
      );
    }
    return quota;
  }

  /** Stores the end. @throws StoreUnavailable if the end is not stored by the halt */
  #settle(outcome: AttemptOutcome | StopReason | "abandoned"): Promise<FinalizedAttempt> | FinalizedAttempt {
    const { task, writer } = this;
    const { finalizer, reporting } = this.#surroundings;
    if (outcome === "abandoned") return { end: { outcome: "moved" }, isStored: false, task: null };
    const ending = { task, writer, onFailure: (error: unknown) => this.#onUnstored(error) };
    if (typeof outcome !== "string") {
      this.#parts.onCodeEnded(this);
      return finalizer.end(ending, outcome);
    }
    reporting.log.warn(
      { ...this.#report.logFields, because: outcome },
      "attempt: grace expired, task taken from the code",
    );
    return finalizer.take(ending, outcome);
  }

  #onUnstored(error: unknown): void {
    const isFirst = this.#endFailure === null;
    this.#endFailure = error;
    if (!isFirst) return;
    const fields = Object.assign(this.#report.logFields, { err: error, sqlstate: sqlstateOf(error) });
    this.#surroundings.reporting.log.warn(fields, "attempt: end not stored, retrying");
  }

  #unstoredReason(): string {
    if (this.#endFailure === null) return "the journal has not written it yet";
    const sqlstate = sqlstateOf(this.#endFailure);
    if (sqlstate !== undefined) return `the database answers SQLSTATE ${sqlstate}`;
    return this.#endFailure instanceof StoreUnavailable ? this.#endFailure.message : "for a reason in the log";
  }

  /** Reads the last checkpoint, and retries during a database outage. */
  async #lastCheckpoint(): Promise<JsonObject | null> {
    return await retryWhile(
      (error) => !isContentError(error),
      () => this.#surroundings.readCheckpoint(this.task),
      { signal: this.#controller.signal },
    );
  }
}
