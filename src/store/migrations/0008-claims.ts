import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Adds the indexes for claims: they hold, by kind and due time, only tasks that can be claimed. A task whose exclusive
 * key is held is marked `blocked`, and claims do not read it until the key is free. docs/adr/0019 has the rules, and
 * what servers of an earlier version do.
 *
 * The column is added without a rewrite, and no row is changed: claims mark the tasks that wait for a held key when
 * they read them. A waiting task without a key is in one of the new indexes. A task with a key is in at most two.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table tasks add column blocked boolean not null default false`,
  `create index tasks_claimable on tasks (namespace, kind, coalesce(run_at, created_at), task_id)
    where status = 'pending' and unchecked is null and exclusive_key is null`,
  `create index tasks_claimable_by_key on tasks (namespace, kind, coalesce(run_at, created_at), task_id)
    where status = 'pending' and unchecked is null and exclusive_key is not null and not blocked`,
  `create index tasks_blocked on tasks (namespace, exclusive_key, kind, task_id) where status = 'pending' and blocked`,
  `create index tasks_unblocked on tasks (namespace, exclusive_key, kind, task_id)
    where status = 'pending' and exclusive_key is not null and not blocked`,
  `drop index tasks_waiting`,
  `drop index tasks_waiting_in_turn`,
];
