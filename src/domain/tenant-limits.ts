import { LimitExceeded } from "./errors.ts";

/** Whose limits they are. */
export type LimitsOf = "namespace" | "principal";

/** The limits of a namespace, or of a principal. A limit that is left out does not apply. */
export interface Limits {
  /** Starts per second at each server: a token bucket that holds the starts of one second, and at least one. */
  readonly startsPerSecond?: number;
  /** Open streams at each server. */
  readonly streams?: number;
  /** Tasks that wait; of a principal, those in one namespace that callers of its name have started. */
  readonly pendingTasks?: number;
  /** Bytes of the params of a task, as JSON. */
  readonly paramsBytes?: number;
  /** Tasks that run. More tasks wait. This limit and all that follow are for namespaces only. */
  readonly runningTasks?: number;
  /** Events of a task. */
  readonly eventsPerTask?: number;
  /** Bytes of the events of a task, as JSON. */
  readonly bytesPerTask?: number;
  /** Bytes that the tasks and events of a namespace take in the database, estimated. */
  readonly storedBytes?: number;
}

export const NO_LIMITS: Limits = {};

/** The limits that a principal can have. */
export const PRINCIPAL_LIMITS = [
  "startsPerSecond",
  "streams",
  "pendingTasks",
  "paramsBytes",
] as const satisfies readonly (keyof Limits)[];

/** Returns the error of an event that is over a limit of its task. */
export function taskLimitExceeded(limit: "events_per_task" | "bytes_per_task", max: number): LimitExceeded {
  const unit = limit === "events_per_task" ? "events" : "bytes of events";
  return new LimitExceeded(`the task has more than ${max} ${unit}`, { limit, max, of: "namespace" });
}
