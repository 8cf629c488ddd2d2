import type { Stage } from "../stages/stage.ts";

/**
 * Adds the kinds of a session, its capacity, and the time of its latest renewal. Sessions of an older program have the
 * defaults.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "sessions",
    statements: [
      `alter table sessions
        add column kinds jsonb not null default '[]',
        add column capacity int not null default 0,
        add column seen_at timestamptz not null default now()`, // Evaluated once, so no row is rewritten.
    ],
  },
];
