import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Adds sessions of workers and unvalidated tasks. A worker resumes its session with a token, on one stream after the
 * other. A task whose kind no server or worker has is stored unvalidated. A process that brings the kind validates the
 * task before it runs.
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
