/** The checks, in the order in which they are reported. The names are stable: programs rely on them. */
export const CHECK_NAMES = [
  "database",
  "postgres",
  "connections",
  "transactions",
  "horizon",
  "vacuum",
  "schema",
  "moves",
  "clock",
  "sweeper",
  "wakeups",
  "standby",
  "sessions",
  "running",
  "kinds",
  "waiting",
  "unchecked",
  "exclusive_keys",
  "retention",
  "removal_hooks",
  "server",
] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/** `skipped`: the check could not be made, or does not apply. */
export type CheckStatus = "ok" | "warn" | "fail" | "skipped";

/** A section of docs/operating.md. */
export type Section =
  | "Settings"
  | "Start"
  | "Spool doctor"
  | "What happens when something dies"
  | "Several servers"
  | "Reads from a standby"
  | "Vacuum and bloat"
  | "Servers and workers"
  | "Retention"
  | "Inspecting the database with psql";

/** What to do, and the section with the details. */
export interface Advice {
  todo: string;
  section: Section;
}

/** The result of a check, on one line. */
export type Finding =
  | { status: "ok"; found: string }
  | ({ status: "warn" | "fail"; found: string } & Advice)
  | { status: "skipped"; found: string; todo: string | null; section: Section | null };

export type Check = { name: CheckName } & Finding;

/** Creates the finding of a check that passed. */
export function ok(found: string): Finding {
  return { status: "ok", found };
}

/** Creates the finding of a check that was not made. */
export function skipped(found: string, advice?: Advice): Finding {
  return { status: "skipped", found, todo: null, section: null, ...advice };
}

/** Grades a measured value by its two bounds. */
export function grade(value: number, { warn, fail }: { warn: number; fail: number }): "ok" | "warn" | "fail" {
  if (value >= fail) return "fail";
  return value >= warn ? "warn" : "ok";
}

/** Creates a finding from a grade. Advice is added unless the grade is `ok`. */
export function graded(status: "ok" | "warn" | "fail", found: string, advice: Advice): Finding {
  return status === "ok" ? ok(found) : { status, found, ...advice };
}

const SEVERITY = { skipped: 0, ok: 0, warn: 1, fail: 2 } as const satisfies Record<CheckStatus, number>;

/** Returns the worst status. Skipped checks do not count. */
export function worst(statuses: readonly CheckStatus[]): "ok" | "warn" | "fail" {
  const severity = Math.max(0, ...statuses.map((status) => SEVERITY[status]));
  return (["ok", "warn", "fail"] as const)[severity]!;
}
