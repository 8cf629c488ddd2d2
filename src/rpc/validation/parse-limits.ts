import { fromLimitsMessage } from "../../codec/limits.ts";
import { TENANT_LIMITS } from "../../domain/limits.ts";
import { PRINCIPAL_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Limits as LimitsMessage } from "../../gen/spool/v1/admin_service_pb.ts";
import type { Checks } from "./checks.ts";

/** The names of the limits in the proto. */
const FIELDS: { readonly [Name in keyof Limits]-?: string } = {
  startsPerSecond: "starts_per_second",
  streams: "streams",
  pendingTasks: "pending_tasks",
  runningTasks: "running_tasks",
  paramsBytes: "params_bytes",
  eventsPerTask: "events_per_task",
  bytesPerTask: "bytes_per_task",
  storedBytes: "stored_bytes",
};

const OF_TOKENS: ReadonlySet<string> = new Set<keyof Limits>(PRINCIPAL_LIMITS);

/** Returns the limits of a token. @param checks of the message */
export function parseTokenLimits(checks: Checks, message: LimitsMessage | undefined): Limits {
  const limits = parseLimits(checks, message);
  for (const name of Object.keys(limits) as (keyof Limits)[]) {
    if (!OF_TOKENS.has(name)) checks.refuse(FIELDS[name], "must be unset: it is a limit of namespaces only");
  }
  return limits;
}

/** Returns the limits of a namespace. @param checks of the message */
export function parseLimits(checks: Checks, message: LimitsMessage | undefined): Limits {
  const limits = fromLimitsMessage(message);
  for (const [name, limit] of Object.entries(limits) as [keyof Limits, number][]) {
    checks.number(FIELDS[name], limit, TENANT_LIMITS[name]);
  }
  return limits;
}
