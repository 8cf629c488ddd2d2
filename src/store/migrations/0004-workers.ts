import type { Stage } from "../stages/stage.ts";

/**
 * Adds sessions of workers and unvalidated tasks. A worker resumes its session with a token, on one stream after the
 * other. A task whose kind no server or worker has is stored unvalidated. A process that brings the kind validates the
 * task before it runs.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "sessions",
    statements: [
      `alter table sessions
        add column if not exists token_digest text,
        add column if not exists connection int not null default 1`,
    ],
  },
  {
    type: "transaction",
    table: "tasks",
    statements: [`alter table tasks add column if not exists unchecked json`],
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_unchecked",
    definition: `(namespace, kind) where unchecked is not null and status = 'pending'`,
  },
];
