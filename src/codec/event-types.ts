import type { LogLevel, TaskFailure } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Series } from "../domain/series.ts";
import type { TerminalStatus } from "../domain/task.ts";

// The decoded events of a tape, with one type each.

interface Recorded {
  /** The position on the tape: 1n, 2n, 3n, … without gap or repeat. */
  seq: bigint;
  /** The time of recording. Events are ordered by seq, not by time. */
  time: Date;
}

/** An attempt started. */
export interface StartedEvent extends Recorded {
  type: "started";
  kind: string;
  /** From 1. */
  attempt: number;
}

/** The progress of a phase. */
export interface Progress {
  phase: string;
  current: number;
  /** 0 if unknown. */
  total: number;
  detail?: JsonObject;
}

export interface ProgressEvent extends Recorded, Progress {
  type: "progress";
}

/** A log line for people. */
export interface LogEvent extends Recorded {
  type: "log";
  level: LogLevel;
  message: string;
}

/** A part of the outcome before the end. */
export interface PartialOfTask {
  kind: string;
  payload: JsonObject;
  /** The series that the partial continues, if any. */
  series?: Series;
}

export interface PartialEvent extends Recorded, PartialOfTask {
  type: "partial";
}

/** The partials of one series in a folded event. */
export interface FoldedPart {
  kind: string;
  /** The last payload of the series in the event. With mode `append`, `series.field` of it has the joined text. */
  payload: JsonObject;
  series: Series;
  /** How many recorded events the part stands for, and the seqs of the first and the last of them. */
  count: number;
  firstSeq: bigint;
  lastSeq: bigint;
}

/**
 * Consecutive partials of series, as one event: only in the folded view. It stands for all events from firstSeq to seq,
 * and its time is that of the last one.
 */
export interface FoldedEvent extends Recorded {
  type: "folded";
  firstSeq: bigint;
  /** One for each series, in the order of their first events. */
  parts: readonly FoldedPart[];
}

/** A caller asked to cancel the running task. */
export interface CancelRequestedEvent extends Recorded {
  type: "cancel_requested";
  /** May be empty. */
  reason: string;
  /** The name of the principal that asked. Left out: unknown, because the call was not authenticated. */
  cancelledBy?: string;
}

/** The attempt failed, and the task will have another. */
export interface RetryingEvent extends Recorded {
  type: "retrying";
  error: TaskFailure;
  nextAttemptAt: Date;
}

/** The end of the task: every task has exactly one, as its last event. */
export interface FinalEvent extends Recorded {
  type: "final";
  status: TerminalStatus;
  /** Set if the task succeeded. */
  result?: JsonObject;
  /** Set if the task failed or was cancelled. */
  error?: TaskFailure;
}

/** An event of a type that this client does not know. It has a position on the tape; ignore it otherwise. */
export interface UnknownEvent extends Recorded {
  type: "unknown";
}

/** An event on a tape. Its `type` tells which. */
export type SpoolEvent =
  | StartedEvent
  | ProgressEvent
  | LogEvent
  | PartialEvent
  | FoldedEvent
  | CancelRequestedEvent
  | RetryingEvent
  | FinalEvent
  | UnknownEvent;
