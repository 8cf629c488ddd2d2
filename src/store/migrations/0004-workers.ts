import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Workers own tasks by sessions of their own, which they resume with a token, by one stream after the other; and tasks
 * are stored where nobody has their kind, for those who come with it to look over before they run them.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table sessions
    add column token_digest text,
    add column connection int not null default 1`,
  `alter table tasks add column unchecked json`,
  `create index tasks_unchecked on tasks (namespace, kind) where unchecked is not null and status = 'pending'`,
];
