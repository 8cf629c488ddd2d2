import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * How many attempts at a task in a row have ended with their process, so that one that takes its process down is ended;
 * which sessions are about to be left, whose loss says nothing of their tasks; and what a start with a request_id asked
 * for, as a digest, so that another with the same id is held to all of it.
 *
 * No step rewrites a table: a constant default is kept in the catalogue. Starts from before have no digest, and are held
 * to their kind and params as they were. A server of before this step may run on for a while.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table tasks
    add column crashes int not null default 0,
    add column request_digest text`,
  // Of those that wait, the few whose last process died: a claim takes one of them at a time.
  `create index tasks_suspected on tasks (namespace, task_id) where status = 'pending' and crashes > 0`,
  `alter table sessions add column is_leaving boolean not null default false`,
];
