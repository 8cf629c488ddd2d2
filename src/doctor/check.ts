/** What is looked at, in the order in which it is told. Programs go by these names. */
export const CHECK_NAMES = [
  "database",
  "postgres",
  "connections",
  "transactions",
  "schema",
  "clock",
  "sweeper",
  "wakeups",
  "sessions",
  "running",
  "kinds",
  "waiting",
  "unchecked",
  "exclusive_keys",
  "server",
] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/** skipped: it could not be looked at, or has no meaning here. */
export type CheckStatus = "ok" | "warn" | "fail" | "skipped";

/** A section of docs/operating.md. */
export type Section =
  | "Settings"
  | "Start"
  | "Spool doctor"
  | "What happens when something dies"
  | "Several servers"
  | "Servers and workers"
  | "Inspecting the database with psql";

/** What to do, and where there is more about it. */
export interface Advice {
  todo: string;
  section: Section;
}

/** What a look has found, on one line. */
export type Finding =
  | { status: "ok"; found: string }
  | ({ status: "warn" | "fail"; found: string } & Advice)
  | { status: "skipped"; found: string; todo: string | null; section: Section | null };

export type Check = { name: CheckName } & Finding;

export function ok(found: string): Finding {
  return { status: "ok", found };
}

export function skipped(found: string, advice?: Advice): Finding {
  return { status: "skipped", found, todo: null, section: null, ...advice };
}

/** As bad as a figure is, by the two bounds that it has. */
export function grade(value: number, { warn, fail }: { warn: number; fail: number }): "ok" | "warn" | "fail" {
  if (value >= fail) return "fail";
  return value >= warn ? "warn" : "ok";
}

/** A finding as bad as its grade, with what to do where it is bad. */
export function graded(status: "ok" | "warn" | "fail", found: string, advice: Advice): Finding {
  return status === "ok" ? ok(found) : { status, found, ...advice };
}

const BADNESS = { skipped: 0, ok: 0, warn: 1, fail: 2 } as const satisfies Record<CheckStatus, number>;

/** The worst of them: what the service is, as far as was looked. */
export function worst(statuses: readonly CheckStatus[]): "ok" | "warn" | "fail" {
  const badness = Math.max(0, ...statuses.map((status) => BADNESS[status]));
  return (["ok", "warn", "fail"] as const)[badness]!;
}
