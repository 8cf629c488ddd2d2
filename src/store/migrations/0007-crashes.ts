import type { Stage } from "../stages/stage.ts";

/**
 * Adds three columns:
 *
 * - `crashes`: how many attempts in a row have ended with a crash of their process. A task that crashes its process
 *   repeatedly is ended.
 * - `is_leaving`: whether a session is about to end in order. Its loss does not count as a crash of its tasks.
 * - `request_digest`: a digest of all that a start with a request_id asked for. Another start with the same id must
 *   match it.
 *
 * No statement rewrites a table, because Postgres stores a constant default in the catalog. Earlier starts have no
 * digest: as before, another start with their id must match only kind and params. A server of an earlier version may
 * run on for a while.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    statements: [
      `alter table tasks
        add column if not exists crashes int not null default 0,
        add column if not exists request_digest text`,
    ],
  },
  // The few waiting tasks whose last process crashed. A claim takes one of them at a time.
  {
    type: "index",
    table: "tasks",
    index: "tasks_suspected",
    definition: `(namespace, task_id) where status = 'pending' and crashes > 0`,
  },
  {
    type: "transaction",
    table: "sessions",
    statements: [`alter table sessions add column is_leaving boolean not null default false`],
  },
];
