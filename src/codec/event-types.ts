import type { LogLevel, TaskFailure } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { TerminalStatus } from "../domain/task.ts";

// The events of a tape as a program reads them: decoded, one type for each.

interface Recorded {
  /** Its position on the tape: 1n, 2n, 3n, … without gap or repeat. */
  seq: bigint;
  /** When it was recorded. The seq orders events; the time does not. */
  time: Date;
}

/** An attempt began. */
export interface StartedEvent extends Recorded {
  type: "started";
  kind: string;
  /** From 1. */
  attempt: number;
}

/** How far a phase has come. */
export interface Progress {
  phase: string;
  current: number;
  /** 0 where it is not known. */
  total: number;
  detail?: JsonObject;
}

export interface ProgressEvent extends Recorded, Progress {
  type: "progress";
}

/** A line for people. */
export interface LogEvent extends Recorded {
  type: "log";
  level: LogLevel;
  message: string;
}

/** A piece of the outcome before the end. */
export interface PartialEvent extends Recorded {
  type: "partial";
  kind: string;
  payload: JsonObject;
}

/** A caller asked to cancel the running task. */
export interface CancelRequestedEvent extends Recorded {
  type: "cancel_requested";
  /** May be empty. */
  reason: string;
}

/** The attempt failed, and there will be another. */
export interface RetryingEvent extends Recorded {
  type: "retrying";
  error: TaskFailure;
  nextAttemptAt: Date;
}

/** The end: exactly one a task, always its last event. */
export interface FinalEvent extends Recorded {
  type: "final";
  status: TerminalStatus;
  /** Of a task that succeeded. */
  result?: JsonObject;
  /** Of a task that failed or was cancelled. */
  error?: TaskFailure;
}

/** An event of a type that this client does not know yet. It has its place on the tape; ignore it. */
export interface UnknownEvent extends Recorded {
  type: "unknown";
}

/** An event on a tape; its `type` says which. */
export type SpoolEvent =
  | StartedEvent
  | ProgressEvent
  | LogEvent
  | PartialEvent
  | CancelRequestedEvent
  | RetryingEvent
  | FinalEvent
  | UnknownEvent;
