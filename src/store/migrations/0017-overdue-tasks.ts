import type { Stage } from "../stages/stage.ts";

/**
 * Adds indexes of the running tasks that were asked to cancel, and of those with a deadline. Sweeps for overdue tasks
 * then read only such tasks. By the index on the status they read an entry for each task that has run since the oldest
 * snapshot: see docs/adr/0044.
 *
 * Most tasks are never in these indexes. No update that leaves the status unchanged changes their columns, except for a
 * cancel.
 */
export const stages: readonly Stage[] = [
  {
    type: "index",
    table: "tasks",
    index: "tasks_cancelling",
    definition: `(namespace, cancel_requested_at) where status = 'running' and cancel_requested_at is not null`,
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_timed",
    definition: `(namespace, attempt_deadline_at) where status = 'running' and attempt_deadline_at is not null`,
  },
];
