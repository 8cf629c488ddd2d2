import { PermissionDenied } from "./errors.ts";
import { TOKEN_NAME_CHARS_MAX } from "./limits.ts";
import { ANY } from "./principal.ts";
import type { Grants, Principal } from "./principal.ts";

/** A right that is missing, as the metadata of PermissionDenied has it. */
interface Excess {
  right: "scope" | "namespace" | "kind" | "label";
  value: string;
}

/** The names of tokens. */
export const TOKEN_NAME = new RegExp(`^[A-Za-z0-9._@/-]{1,${TOKEN_NAME_CHARS_MAX}}$`);

/** The patterns of names with at most `charsMax` characters. */
export function patternForm(charsMax: number): RegExp {
  return new RegExp(`^(?:[A-Za-z0-9._-]{1,${charsMax}}|[A-Za-z0-9._-]{0,${charsMax - 1}}\\*)$`);
}

/** Whether one set of rights contains another. */
export function contains(own: Grants, wanted: Grants): boolean {
  return findExcess(own, wanted) === null;
}

/** @throws PermissionDenied if the caller would give rights that it does not have */
export function requireGrants(giver: Principal, wanted: Grants): void {
  const excess = findExcess(giver, wanted);
  if (excess === null) return;
  const { right, value } = excess;
  const what =
    right === "label"
      ? `${giver.name} can only give rights with the label ${value}`
      : `${giver.name} cannot give the ${right} ${JSON.stringify(value)}, which it does not have itself`;
  throw new PermissionDenied(what, { principal: giver.name, [right]: value });
}

/**
 * Returns the rights that are in both. Patterns are narrowed to the more special one of each pair.
 *
 * @returns null if a label differs: no task could have both values
 */
export function intersect(own: Grants, asked: Partial<Grants>): Grants | null {
  const labels = { ...asked.labels, ...own.labels };
  for (const [key, value] of Object.entries(asked.labels ?? {})) if (labels[key] !== value) return null;
  return {
    namespaces: asked.namespaces === undefined ? own.namespaces : sharedPatterns(own.namespaces, asked.namespaces),
    scopes: own.scopes.filter((scope) => asked.scopes?.includes(scope) ?? true),
    kinds: asked.kinds === undefined ? own.kinds : sharedPatterns(own.kinds, asked.kinds),
    labels,
    taskId: own.taskId,
  };
}

function findExcess(own: Grants, wanted: Grants): Excess | null {
  const scope = wanted.scopes.find((name) => !own.scopes.includes(name));
  if (scope !== undefined) return { right: "scope", value: scope };
  const namespace = wanted.namespaces.find((pattern) => !isCovered(pattern, own.namespaces));
  if (namespace !== undefined) return { right: "namespace", value: namespace };
  const kind = wanted.kinds.find((pattern) => !isCovered(pattern, own.kinds));
  if (kind !== undefined) return { right: "kind", value: kind };
  for (const [key, value] of Object.entries(own.labels)) {
    const isKept = Object.hasOwn(wanted.labels, key) && wanted.labels[key] === value;
    if (!isKept) return { right: "label", value: `${key}=${value}` };
  }
  return null;
}

/** Whether each name that the pattern matches is matched by one of the others. */
function isCovered(pattern: string, others: readonly string[]): boolean {
  return others.some((other) => (other.endsWith(ANY) ? pattern.startsWith(other.slice(0, -1)) : pattern === other));
}

function sharedPatterns(one: readonly string[], other: readonly string[]): string[] {
  const shared = [
    ...one.filter((pattern) => isCovered(pattern, other)),
    ...other.filter((pattern) => isCovered(pattern, one)),
  ];
  return [...new Set(shared)];
}
