import type { Stage } from "../stages/stage.ts";

/**
 * Adds the markers of removed tasks. The index finds markers whose task has events left, and markers to delete, oldest
 * first.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: null,
    statements: [
      `create table removed_tasks (
        task_id uuid primary key,
        namespace text not null,
        removed_at timestamptz not null default now(),
        events_left boolean not null
      )`,
      `create index removed_tasks_by_age on removed_tasks (namespace, events_left, removed_at)`,
    ],
  },
];
