import type { TerminalStatus } from "./task.ts";
import type { JsonObject } from "./json.ts";
import type { FoldedBody, Series } from "./series.ts";

/** Why an attempt or a task failed, as recorded on the tape. */
export interface TaskFailure {
  /** UPPER_SNAKE_CASE, for programs. */
  reason: string;
  /** For people; never a stack trace. */
  message: string;
  details?: JsonObject;
}

export const LOG_LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The body of each type of event, as stored in `task_events.body`. Only `folded` is never stored. */
export interface EventBodies {
  started: { kind: string; attempt: number };
  progress: { phase: string; current: number; total: number; detail?: JsonObject };
  log: { level: LogLevel; message: string };
  partial: { kind: string; payload: JsonObject; series?: Series };
  /** `cancelled_by`: the name of the principal; left out: unknown. */
  cancel_requested: { reason: string; cancelled_by?: string };
  retrying: { error: TaskFailure; next_attempt_at: string };
  final: { status: TerminalStatus; result?: JsonObject; error?: TaskFailure };
  /** Several partials of the tape as one event, in the folded view. */
  folded: FoldedBody;
}

export type EventType = keyof EventBodies;

/**
 * An event without a position on a tape. The body is JSON text, made when the event was emitted. Later changes to the
 * emitted objects have no effect, and a replay returns the same text as the live tape.
 */
export interface NewEvent {
  type: EventType;
  body: string;
}

/** An event on a tape. */
export interface TapeEvent extends NewEvent {
  seq: bigint;
  time: Date;
}

export function newEvent<Type extends EventType>(type: Type, body: EventBodies[Type]): NewEvent {
  return { type, body: JSON.stringify(body) };
}

const CHECKPOINT_BODY = JSON.stringify({ kind: "checkpoint" }).slice(0, -1);

/**
 * Whether an event made by newEvent is a partial of kind `checkpoint`, which the next attempt receives. The body starts
 * with its kind, so it need not be parsed.
 */
export function isCheckpoint({ type, body }: NewEvent): boolean {
  return type === "partial" && body.startsWith(CHECKPOINT_BODY);
}

/** Approximate memory of an event in addition to its body, in bytes. */
const EVENT_OVERHEAD_BYTES = 160;

/** Returns the approximate memory of an event, in bytes. */
export function bytesOf({ body }: Pick<NewEvent, "body">): number {
  return body.length + EVENT_OVERHEAD_BYTES;
}

/** Parses a body. The caller must have checked the event's type. */
export function bodyOf<Type extends EventType>(event: NewEvent & { type: Type }): EventBodies[Type] {
  return JSON.parse(event.body) as EventBodies[Type];
}
