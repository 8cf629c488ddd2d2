import type { Limits } from "../../domain/tenant-limits.ts";
import type { SetNamespaceRequest } from "../../gen/spool/v1/admin_service_pb.ts";
import { Checks } from "./checks.ts";
import { parseLimits } from "./parse-limits.ts";

/** @throws InvalidArgument with a violation for each field that is out of its bounds */
export function parseSetNamespace({ name, limits }: SetNamespaceRequest): { name: string; limits: Limits | null } {
  const checks = new Checks();
  return checks.passed({
    name: checks.namespace("name", name),
    limits: limits === undefined ? null : parseLimits(checks.within("limits"), limits),
  });
}
