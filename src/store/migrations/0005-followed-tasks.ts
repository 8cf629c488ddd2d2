import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * The transaction that ended a task: who follows many finds by it those that have ended since. It is written once, with
 * the end, which touches an index as it is.
 *
 * What ended before has 0, which costs no rewrite of the table. A server of before this step, which may run on for a
 * while, leaves null.
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
  // Of those that wait, the few that have a tape: a long queue need not be looked through for them.
  `create index tasks_waiting_again on tasks (namespace, task_id) where status = 'pending' and attempt > 0`,
];
