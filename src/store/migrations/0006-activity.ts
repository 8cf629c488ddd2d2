import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Adds an index to count recently ended tasks. Each task is added once, when it ends, in the order of time. Tasks that
 * have not ended are not in the index. docs/adr/0014 explains the cost, and why this is not a BRIN index.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index tasks_finished on tasks (namespace, finished_at) where finished_at is not null`.execute(db);
}
