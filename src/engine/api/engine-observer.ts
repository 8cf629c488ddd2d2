import type { AttemptEnd } from "../../domain/attempt-end.ts";
import type { TerminalStatus } from "../../domain/task.ts";
import type { OverdueReason } from "../../store/tasks/sweep-queries.ts";

/** What has removed a task. */
export type RemovedBy = "caller" | "retention";

/**
 * Receives the actions of an engine, for metrics. Every call about a task follows a commit of this process, so each
 * start, attempt and end is reported at most once over all processes. A report is missing if the process dies between
 * the commit and the report, or if the answer to the commit is lost. The methods return at once and never throw.
 * Durations are in milliseconds.
 */
export interface EngineObserver {
  taskStored(kind: string): void;
  /** @param waitedMs time since the task was due, by the database's clock */
  attemptBegan(kind: string, waitedMs: number): void;
  attemptEnded(kind: string, outcome: AttemptEnd["outcome"], durationMs: number): void;
  /** @param cancelMs time since the first cancel request; null: there was none, or the task did not end as cancelled */
  taskEnded(kind: string, status: TerminalStatus, durationMs: number, cancelMs: number | null): void;
  cancelAsked(kind: string, outcome: "cancelled" | "requested" | "already_terminal"): void;
  /** An ended task was removed, by a caller or after its retention. */
  taskRemoved(kind: string, by: RemovedBy): void;
  /** Tasks were written to the archive of removed tasks, before their removal. */
  tasksExported(count: number): void;
  /** The archive of removed tasks could not be written to. */
  exportFailed(): void;
  /** Tapes of ended tasks were packed, with so many events. A long tape is packed in several parts. */
  tapesPacked(packed: { tapes: number; events: number }): void;
  /** A flush of the journal was committed, with so many tasks and events, and so many bytes of event bodies. */
  flushed(flush: { tasks: number; events: number; bytes: number; durationMs: number }): void;
  /** Events were committed outside a flush. */
  eventsWritten(count: number): void;
  taskSwept(kind: string, reason: OverdueReason): void;
  sessionLost(of: "server" | "worker"): void;
  /** This process received its own wakeup, delayMs after the commit that the wakeup announces. */
  wakeupCame(delayMs: number): void;
}

/** An observer that ignores all calls. */
export const UNOBSERVED: EngineObserver = {
  taskStored() {},
  attemptBegan() {},
  attemptEnded() {},
  taskEnded() {},
  cancelAsked() {},
  taskRemoved() {},
  tasksExported() {},
  exportFailed() {},
  tapesPacked() {},
  flushed() {},
  eventsWritten() {},
  taskSwept() {},
  sessionLost() {},
  wakeupCame() {},
};

/** The current state of an engine, for gauges. */
export interface EngineGauges {
  /** The number of tasks that run in this process or at its workers, by kind. */
  running: ReadonlyMap<string, number>;
  /** The slots of this process, which its engines share, and those of each worker. */
  budgets: ReadonlySet<{ readonly slots: number; readonly free: number }>;
  /** The number of attempts whose code ended more than UNSTORED_MS ago, and whose end is not stored. */
  unstoredEnds: number;
  /** For how long the oldest task has been due to be removed, in ms. 0: no task is due. */
  removalOverdueMs: number;
  /** The number of connected workers. */
  workers: number;
  /** The number of followers of one tape, including long polls. */
  tapeFollowers: number;
  /** The number of followers of many tasks. */
  taskFollowers: number;
  /** Tape pages served since the start: from the feed's ring, from the page cache, and from the store. */
  feedPages: number;
  cachedPages: number;
  storePages: number;
}
