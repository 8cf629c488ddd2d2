import { fromLimitsMessage } from "../../codec/limits.ts";
import { TENANT_LIMITS } from "../../domain/limits.ts";
import { LIMIT_NAMES, PRINCIPAL_LIMITS } from "../../domain/tenant-limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Limits as LimitsMessage } from "../../gen/spool/v1/admin_service_pb.ts";
import type { Checks } from "./checks.ts";

const OF_TOKENS: ReadonlySet<string> = new Set<keyof Limits>(PRINCIPAL_LIMITS);

/** Returns the limits of a token. @param checks of the message */
export function parseTokenLimits(checks: Checks, message: LimitsMessage | undefined): Limits {
  const limits = parseLimits(checks, message);
  for (const name of Object.keys(limits) as (keyof Limits)[]) {
    if (!OF_TOKENS.has(name)) checks.refuse(LIMIT_NAMES[name], "must be unset: it is a limit of namespaces only");
  }
  return limits;
}

/** Returns the limits of a namespace. @param checks of the message */
export function parseLimits(checks: Checks, message: LimitsMessage | undefined): Limits {
  const limits = fromLimitsMessage(message);
  for (const [name, limit] of Object.entries(limits) as [keyof Limits, number][]) {
    checks.number(LIMIT_NAMES[name], limit, TENANT_LIMITS[name]);
  }
  return limits;
}
