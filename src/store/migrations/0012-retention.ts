import type { Stage } from "../stages/stage.ts";

/**
 * Adds the retention of single tasks. The index has only ended tasks with a retention of their own. All other ended
 * tasks are found by `tasks_finished`.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    statements: [`alter table tasks add column if not exists retention_ms bigint`],
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_retained",
    definition: `(namespace, retention_ms, finished_at) where retention_ms is not null and finished_at is not null`,
  },
];
