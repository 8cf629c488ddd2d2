import { NAMESPACE_CHARS_MAX } from "../../domain/limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { SetNamespaceRequest } from "../../gen/spool/v1/admin_service_pb.ts";
import { Checks } from "./checks.ts";
import { parseLimits } from "./parse-limits.ts";

const NAMESPACE = new RegExp(`^[A-Za-z0-9._-]{1,${NAMESPACE_CHARS_MAX}}$`);

/** @throws InvalidArgument with a violation for each field that is out of its bounds */
export function parseSetNamespace({ name, limits }: SetNamespaceRequest): { name: string; limits: Limits | null } {
  const checks = new Checks();
  if (!NAMESPACE.test(name)) checks.refuse("name", `must be 1 to ${NAMESPACE_CHARS_MAX} characters of [A-Za-z0-9._-]`);
  return checks.passed({ name, limits: limits === undefined ? null : parseLimits(checks.within("limits"), limits) });
}
