import type { Stage } from "../stages/stage.ts";

/** Adds the tasks that a session owns and that do not run. The session reports them for the doctor. */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "sessions",
    statements: [`alter table sessions add column stalled json not null default '[]'`],
  },
];
