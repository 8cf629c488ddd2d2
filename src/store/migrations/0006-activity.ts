import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * What ended of late, to be counted. Written once a task, at its end and in the order of time; what has not ended is
 * not in it. docs/adr/0014 has what it costs, and why it is no BRIN.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index tasks_finished on tasks (namespace, finished_at) where finished_at is not null`.execute(db);
}
