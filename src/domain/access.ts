import { InvalidArgument, PermissionDenied } from "./errors.ts";
import { matchesAny } from "./principal.ts";
import type { Principal, Scope } from "./principal.ts";

/** What a call requires of its caller. */
export interface RequiredAccess {
  /** The caller needs all of these. Empty: any caller. */
  readonly scopes: readonly Scope[];
  /** Whether the call concerns one task, by its id. */
  readonly isForOneTask: boolean;
}

/**
 * Checks that a caller may make a call, and returns the namespace of the call.
 *
 * @param chosen the namespace that the caller has chosen; undefined: none
 * @param fallback the namespace of callers that may use it and have chosen none
 * @throws PermissionDenied, InvalidArgument (no namespace was chosen where one is needed)
 */
export function authorize(
  principal: Principal,
  required: RequiredAccess,
  { chosen, fallback }: { chosen: string | undefined; fallback: string },
): string {
  for (const scope of required.scopes) requireScope(principal, scope);
  if (principal.taskId !== null && !required.isForOneTask) {
    const what = "a token for one task can only read or cancel this task";
    throw new PermissionDenied(what, { principal: principal.name });
  }
  return chooseNamespace(principal, chosen, fallback);
}

/** @throws PermissionDenied */
export function requireScope({ name, scopes }: Principal, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw new PermissionDenied(`${name} needs the scope ${scope}`, { principal: name, scope });
}

function chooseNamespace({ name, namespaces }: Principal, chosen: string | undefined, fallback: string): string {
  if (chosen !== undefined) {
    if (matchesAny(namespaces, chosen)) return chosen;
    const what = `${name} may not use the namespace ${JSON.stringify(chosen)}`;
    throw new PermissionDenied(what, { principal: name, namespace: chosen });
  }
  if (matchesAny(namespaces, fallback)) return fallback;
  const [only, ...others] = namespaces;
  if (only !== undefined && others.length === 0 && !only.endsWith("*")) return only;
  throw new InvalidArgument([
    { field: "spool-namespace", description: "is required for callers of several namespaces" },
  ]);
}
