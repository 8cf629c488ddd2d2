import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Adds the number of the transaction that ended a task. A follower of many tasks finds by it the tasks that have ended
 * since its cursor. The number is written once, with the end, which updates an index anyway.
 *
 * Tasks that ended before this step have 0, as a default, which needs no rewrite of the table. A server of an earlier
 * version, which may run on for a while, leaves null.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table tasks add column ended_xid bigint default 0`,
  `alter table tasks alter column ended_xid drop default`,
  `update tasks set ended_xid = null where status in ('pending', 'running')`,
  `create index tasks_ended on tasks (namespace, ended_xid, task_id) where finished_at is not null`,
  `create index tasks_ended_unsaid on tasks (namespace, task_id) where finished_at is not null and ended_xid is null`,
  // The few waiting tasks that have a tape. Without this index, a query would scan the whole queue for them.
  `create index tasks_waiting_again on tasks (namespace, task_id) where status = 'pending' and attempt > 0`,
];
