import { requireScope } from "./access.ts";
import { ANY } from "./principal.ts";
import type { Principal, Scope } from "./principal.ts";

/** The scopes that a token for one task can have. */
export const TASK_TOKEN_SCOPES = ["tasks:read", "tasks:cancel"] as const satisfies readonly Scope[];

export type TaskTokenScope = (typeof TASK_TOKEN_SCOPES)[number];

const NAME_ENDING = "/task-token";

/** A token for one task, as its text says. */
export interface TaskToken {
  namespace: string;
  taskId: string;
  scopes: readonly Scope[];
  /** The name of the principal that has made the token. */
  createdBy: string;
  expiresAt: Date;
}

/**
 * Decides what a new token for one task may do, and until when.
 *
 * @param by the caller, which sees the task
 * @param wanted.notAfter when the caller's own credential expires; null: never, or it is not known
 * @throws PermissionDenied if the caller lacks one of the scopes
 */
export function grantTaskToken(
  by: Principal,
  { ttlMs, notAfter, ...wanted }: Omit<TaskToken, "createdBy" | "expiresAt"> & { ttlMs: number; notAfter: Date | null },
  now: Date,
): TaskToken {
  for (const scope of wanted.scopes) requireScope(by, scope);
  const expiresAt = new Date(Math.min(now.getTime() + ttlMs, notAfter?.getTime() ?? Infinity));
  return { ...wanted, createdBy: by.name, expiresAt };
}

/** Returns the caller with a token. The kind and the labels of its task were checked when the token was made. */
export function taskTokenPrincipal({ namespace, taskId, scopes, createdBy }: TaskToken): Principal {
  return { name: createdBy + NAME_ENDING, namespaces: [namespace], scopes, kinds: [ANY], labels: {}, taskId };
}
