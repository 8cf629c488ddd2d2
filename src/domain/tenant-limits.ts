import { LimitExceeded, PermissionDenied } from "./errors.ts";

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

/** The names of the limits, as messages and the proto have them. */
export const LIMIT_NAMES: { readonly [Name in keyof Limits]-?: string } = {
  startsPerSecond: "starts_per_second",
  streams: "streams",
  pendingTasks: "pending_tasks",
  runningTasks: "running_tasks",
  paramsBytes: "params_bytes",
  eventsPerTask: "events_per_task",
  bytesPerTask: "bytes_per_task",
  storedBytes: "stored_bytes",
};

/** The limits that a principal can have. */
export const PRINCIPAL_LIMITS = [
  "startsPerSecond",
  "streams",
  "pendingTasks",
  "paramsBytes",
] as const satisfies readonly (keyof Limits)[];

/**
 * Returns the limits of a credential that a caller gives to another one: those that it asks for, and its own limits for
 * those that it leaves out.
 *
 * @throws PermissionDenied if it asks for more than its own limit
 */
export function givenLimits(giver: { name: string; limits: Limits }, wanted: Limits): Limits {
  for (const name of PRINCIPAL_LIMITS) {
    const { [name]: max = Infinity } = giver.limits;
    if ((wanted[name] ?? 0) <= max) continue;
    const limit = LIMIT_NAMES[name];
    const what = `${giver.name} cannot give the limit ${limit} ${wanted[name]}: its own is ${max}`;
    throw new PermissionDenied(what, { principal: giver.name, limit, max: String(max) });
  }
  return { ...giver.limits, ...wanted };
}

/** Returns the error of an event that is over a limit of its task. */
export function taskLimitExceeded(limit: "events_per_task" | "bytes_per_task", max: number): LimitExceeded {
  const unit = limit === "events_per_task" ? "events" : "bytes of events";
  return new LimitExceeded(`the task has more than ${max} ${unit}`, { limit, max, of: "namespace" });
}
