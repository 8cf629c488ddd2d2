import type { AttemptEnd } from "../../domain/attempt-end.ts";
import type { TerminalStatus } from "../../domain/task.ts";
import type { OverdueReason } from "../../store/tasks/sweep-queries.ts";

/**
 * Receives what an engine does, for metrics. Every call about a task follows a commit of this process: over all
 * processes each start, attempt and end is reported at most once (a process may die between the commit and the report,
 * and the answer to a commit may be lost). The methods return at once and never throw. Durations are in milliseconds.
 */
export interface EngineObserver {
  taskStored(kind: string): void;
  /** @param waitedMs since the task was due, by the database's clock */
  attemptBegan(kind: string, waitedMs: number): void;
  attemptEnded(kind: string, outcome: AttemptEnd["outcome"], durationMs: number): void;
  /** @param cancelMs since it was first asked to cancel; null: it was not, or did not end by that */
  taskEnded(kind: string, status: TerminalStatus, durationMs: number, cancelMs: number | null): void;
  cancelAsked(kind: string, outcome: "cancelled" | "requested" | "already_terminal"): void;
  /** A flush of the journal was committed: how many tasks and events were in it, and the bytes of their bodies. */
  flushed(flush: { tasks: number; events: number; bytes: number; durationMs: number }): void;
  /** Events were committed outside a flush. */
  eventsWritten(count: number): void;
  taskSwept(kind: string, reason: OverdueReason): void;
  sessionLost(of: "server" | "worker"): void;
  /** A wakeup of this process came back to it, so long after the commit that it announces. */
  wakeupCame(delayMs: number): void;
}

/** Ignores everything. */
export const UNOBSERVED: EngineObserver = {
  taskStored() {},
  attemptBegan() {},
  attemptEnded() {},
  taskEnded() {},
  cancelAsked() {},
  flushed() {},
  eventsWritten() {},
  taskSwept() {},
  sessionLost() {},
  wakeupCame() {},
};

/** The current state of an engine, for gauges. */
export interface EngineGauges {
  /** How many tasks run through this process, here or at its workers, by kind. */
  running: ReadonlyMap<string, number>;
  /** Of this process and of its workers together. */
  slots: number;
  freeSlots: number;
  /** Attempts whose code ended more than UNSTORED_MS ago, and whose end is not stored. */
  unstoredEnds: number;
  /** Connected workers. */
  workers: number;
  /** Followers of one tape each, long polls among them. */
  tapeFollowers: number;
  /** Followers of many tasks. */
  taskFollowers: number;
  /** Pages of tapes served since the start: from the feed's ring, from the page cache, or from the store. */
  feedPages: number;
  keptPages: number;
  storePages: number;
}
