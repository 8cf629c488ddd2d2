import { fromScopeValue } from "../../codec/scope.ts";
import { TASK_TOKEN_TTL_MS_DEFAULT, TASK_TOKEN_TTL_MS_MAX, TASK_TOKEN_TTL_MS_MIN } from "../../domain/limits.ts";
import type { Scope } from "../../domain/principal.ts";
import { TASK_TOKEN_SCOPES } from "../../domain/task-token.ts";
import type { Scope as ScopeValue } from "../../gen/spool/v1/access_pb.ts";
import type { CreateTaskTokenRequest } from "../../gen/spool/v1/task_service_pb.ts";
import { Checks } from "./checks.ts";

/** @returns the task id in lower case, and each scope once */
export function parseCreateTaskToken({ taskId, scopes, ttl }: CreateTaskTokenRequest): {
  taskId: string;
  scopes: Scope[];
  ttlMs: number;
} {
  const checks = new Checks();
  return checks.passed({
    taskId: checks.taskId(taskId),
    scopes: scopes.length === 0 ? ["tasks:read"] : readScopes(checks, scopes),
    ttlMs:
      ttl === undefined
        ? TASK_TOKEN_TTL_MS_DEFAULT
        : checks.duration("ttl", ttl, [TASK_TOKEN_TTL_MS_MIN, TASK_TOKEN_TTL_MS_MAX]),
  });
}

function readScopes(checks: Checks, values: readonly ScopeValue[]): Scope[] {
  const wanted = new Set<Scope>();
  for (const [index, value] of values.entries()) {
    const scope = TASK_TOKEN_SCOPES.find((allowed) => allowed === fromScopeValue(value));
    if (scope === undefined) checks.refuse(`scopes[${index}]`, "must be SCOPE_TASKS_READ or SCOPE_TASKS_CANCEL");
    else wanted.add(scope);
  }
  return [...wanted];
}
