import type { AttemptEnd } from "../../domain/attempt-end.ts";
import type { TerminalStatus } from "../../domain/task.ts";
import type { OverdueReason } from "../../store/tasks/sweep-queries.ts";

/**
 * Told what an engine does, as it does it, for figures. Whatever is told of a task was committed by this process: over
 * all processes each start, attempt and end is told once (a process may die between the commit and the telling, and
 * the answer to a commit may be lost for good). Its methods return at once and never throw. Durations are in milliseconds.
 */
export interface EngineWatch {
  taskStored(kind: string): void;
  /** @param waitedMs since the task was due, by the database's clock */
  attemptBegan(kind: string, waitedMs: number): void;
  attemptEnded(kind: string, outcome: AttemptEnd["outcome"], durationMs: number): void;
  /** @param cancelMs since it was first asked to cancel; null: it was not, or did not end by that */
  taskEnded(kind: string, status: TerminalStatus, durationMs: number, cancelMs: number | null): void;
  cancelAsked(kind: string, outcome: "cancelled" | "requested" | "already_terminal"): void;
  /** A flush of the journal was committed: how many tasks and events were in it, and the bytes of their bodies. */
  flushed(flush: { tasks: number; events: number; bytes: number; durationMs: number }): void;
  /** Events were committed by another way than a flush. */
  eventsWritten(count: number): void;
  taskSwept(kind: string, reason: OverdueReason): void;
  sessionLost(of: "server" | "worker"): void;
  /** A wakeup of this process has come back to it, so long after what it tells of was committed. */
  wakeupCame(delayMs: number): void;
}

/** Nobody is told. */
export const UNWATCHED: EngineWatch = {
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

/** How an engine stands, for gauges. */
export interface EngineFigures {
  /** How many tasks run through this process, here or at its workers, by kind. */
  running: ReadonlyMap<string, number>;
  /** Of this process and of its workers together. */
  slots: number;
  freeSlots: number;
  /** Attempts whose code ended more than a moment ago, and whose end is not stored. */
  unstoredEnds: number;
  /** Workers that are connected. */
  workers: number;
  /** Followers of one tape each, long polls among them. */
  tapeFollowers: number;
  /** Followers of many tasks. */
  taskFollowers: number;
  /** Pages of tapes that were given, since the start: cut from the feed's memory, kept from another reader, or read. */
  feedPages: number;
  keptPages: number;
  storePages: number;
}
