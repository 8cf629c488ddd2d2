/** What a caller may do. docs/security.md describes each scope. */
export const SCOPES = [
  "tasks:read",
  "tasks:start",
  "tasks:cancel",
  "tasks:delete",
  "work",
  "metrics",
  "admin",
] as const;

export type Scope = (typeof SCOPES)[number];

/** The rights of a caller. A pattern is a name, or the beginning of a name with `*` after it. */
export interface Grants {
  /** Patterns of namespaces. */
  readonly namespaces: readonly string[];
  readonly scopes: readonly Scope[];
  /** Patterns of kinds. The caller sees and starts only tasks of these kinds. */
  readonly kinds: readonly string[];
  /** The caller sees only tasks with all of these labels, and the tasks that it starts get them. */
  readonly labels: Readonly<Record<string, string>>;
  /** The only task that the caller sees. null: not restricted to one task. */
  readonly taskId: string | null;
}

/** An authenticated caller. */
export interface Principal extends Grants {
  /** Its name, for people: in tasks, logs and the audit log. Never a secret. */
  readonly name: string;
}

/** Selects the tasks that a caller may see. */
export interface VisibleTasks {
  /** Patterns of kinds. Empty: all kinds. */
  readonly kinds: readonly string[];
  /** Only tasks with all of these labels. */
  readonly labels: Readonly<Record<string, string>>;
}

/** The pattern of all names. */
export const ANY = "*";

/** All rights, in all namespaces. */
export const ALL_GRANTS: Grants = { namespaces: [ANY], scopes: SCOPES, kinds: [ANY], labels: {}, taskId: null };

/** Whether one of the patterns matches the name. */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith(ANY) ? name.startsWith(pattern.slice(0, -1)) : pattern === name));
}

/** Whether the caller sees only some of the tasks in its namespaces. */
export function isRestricted({ kinds, labels, taskId }: Grants): boolean {
  return taskId !== null || !kinds.includes(ANY) || Object.keys(labels).length > 0;
}

/** A kind that no task has. */
const NO_KIND = "";

/** Returns the filter that takes the tasks that the caller may see. A token for one task needs its id as well. */
export function visibleTasks({ kinds, labels }: Grants): VisibleTasks {
  if (kinds.includes(ANY)) return { kinds: [], labels };
  return { kinds: kinds.length > 0 ? kinds : [NO_KIND], labels };
}

/** Whether the caller may see a task of its namespace. */
export function maySee(
  grants: Grants,
  task: { taskId: string; kind: string; labels: Readonly<Record<string, string>> },
): boolean {
  if (grants.taskId !== null && grants.taskId !== task.taskId) return false;
  return matchesAny(grants.kinds, task.kind) && hasLabels(task.labels, grants.labels);
}

function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}
