import { InvalidArgument, PermissionDenied } from "./errors.ts";
import { NAMESPACE_NAME } from "./namespace-name.ts";
import { ANY, isRestricted, matchesAny } from "./principal.ts";
import type { Principal, Scope } from "./principal.ts";

/** What a call requires of its caller. */
export interface RequiredAccess {
  /** The caller needs all of these. Empty: any caller. */
  readonly scopes: readonly Scope[];
  /** Whether the call concerns one task, by its id. */
  readonly isForOneTask: boolean;
  /** Whether the call concerns the whole service: the caller needs its scopes in all namespaces, and for all tasks. */
  readonly isForService: boolean;
}

/**
 * Checks that a caller may make a call, and returns the namespace of the call.
 *
 * @param chosen the namespace that the caller has chosen; undefined: none
 * @param fallback the namespace of callers that may use it and have chosen none
 * @throws PermissionDenied, InvalidArgument (the namespace is malformed, or none was chosen where one is needed)
 */
export function authorize(
  principal: Principal,
  required: RequiredAccess,
  { chosen, fallback }: { chosen: string | undefined; fallback: string },
): string {
  requireAccess(principal, required);
  return chooseNamespace(principal, chosen, fallback);
}

/** Checks that a caller has what a call or a resource requires, in whatever namespace. @throws PermissionDenied */
export function requireAccess(principal: Principal, { scopes, isForOneTask, isForService }: RequiredAccess): void {
  const { name } = principal;
  for (const scope of scopes) requireScope(principal, scope);
  if (!isForOneTask) refuseTaskToken(principal);
  if (isForService && (!principal.namespaces.includes(ANY) || isRestricted(principal))) {
    const what = `${name} needs rights in all namespaces and for all tasks: this concerns the whole service`;
    throw new PermissionDenied(what, { principal: name });
  }
}

/** @throws PermissionDenied */
export function requireScope({ name, scopes }: Principal, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw new PermissionDenied(`${name} needs the scope ${scope}`, { principal: name, scope });
}

/** Refuses callers that see only one task. @throws PermissionDenied */
export function refuseTaskToken({ name, taskId }: Principal): void {
  if (taskId === null) return;
  throw new PermissionDenied("a token for one task can only read or cancel this task", { principal: name });
}

function chooseNamespace({ name, namespaces }: Principal, chosen: string | undefined, fallback: string): string {
  if (chosen !== undefined) {
    // An error below repeats the name that the caller has chosen, so the name must be short.
    if (!NAMESPACE_NAME.test(chosen)) throw invalidNamespace("must be 1 to 63 of [A-Za-z0-9._-]");
    if (matchesAny(namespaces, chosen)) return chosen;
    const what = `${name} may not use the namespace ${JSON.stringify(chosen)}`;
    throw new PermissionDenied(what, { principal: name, namespace: chosen });
  }
  const implied = impliedNamespace(namespaces, fallback);
  if (implied !== null) return implied;
  throw invalidNamespace("is required for callers of several namespaces");
}

function invalidNamespace(description: string): InvalidArgument {
  return new InvalidArgument([{ field: "spool-namespace", description }]);
}

/**
 * Returns the namespace of calls whose caller has chosen none; null: the caller must choose one.
 *
 * @param namespaces the patterns of the caller's rights
 */
export function impliedNamespace(namespaces: readonly string[], fallback: string): string | null {
  if (matchesAny(namespaces, fallback)) return fallback;
  const [only, ...others] = namespaces;
  return only !== undefined && others.length === 0 && !only.endsWith("*") ? only : null;
}
