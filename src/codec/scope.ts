import type { Scope } from "../domain/principal.ts";
import { Scope as ScopeValue } from "../gen/spool/v1/access_pb.ts";

const VALUES: Readonly<Record<Scope, ScopeValue>> = {
  "tasks:read": ScopeValue.TASKS_READ,
  "tasks:start": ScopeValue.TASKS_START,
  "tasks:cancel": ScopeValue.TASKS_CANCEL,
  "tasks:delete": ScopeValue.TASKS_DELETE,
  work: ScopeValue.WORK,
  metrics: ScopeValue.METRICS,
  admin: ScopeValue.ADMIN,
};

const NAMES = new Map(Object.entries(VALUES).map(([name, value]) => [value, name as Scope]));

export function toScopeValue(scope: Scope): ScopeValue {
  return VALUES[scope];
}

/** @returns undefined for UNSPECIFIED and for the scopes of newer versions */
export function fromScopeValue(value: ScopeValue): Scope | undefined {
  return NAMES.get(value);
}
