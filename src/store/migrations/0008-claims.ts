import type { Stage } from "../stages/stage.ts";

/**
 * Adds the indexes for claims: they hold, by kind and due time, only tasks that can be claimed. A task whose exclusive
 * key is held is marked `blocked`, and claims do not read it until the key is free. docs/adr/0019 has the rules, and
 * what servers of an earlier version do.
 *
 * The column is added without a rewrite, and no row is changed: claims mark the tasks that wait for a held key when
 * they read them. A waiting task without a key is in one of the new indexes. A task with a key is in at most two.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    statements: [`alter table tasks add column if not exists blocked boolean not null default false`],
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_claimable",
    definition: `(namespace, kind, coalesce(run_at, created_at), task_id)
      where status = 'pending' and unchecked is null and exclusive_key is null`,
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_claimable_by_key",
    definition: `(namespace, kind, coalesce(run_at, created_at), task_id)
      where status = 'pending' and unchecked is null and exclusive_key is not null and not blocked`,
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_blocked",
    definition: `(namespace, exclusive_key, kind, task_id) where status = 'pending' and blocked`,
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_unblocked",
    definition: `(namespace, exclusive_key, kind, task_id)
      where status = 'pending' and exclusive_key is not null and not blocked`,
  },
  { type: "drop index", table: "tasks", index: "tasks_waiting" },
  { type: "drop index", table: "tasks", index: "tasks_waiting_in_turn" },
];
