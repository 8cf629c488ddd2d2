import { sql } from "kysely";
import type { Kysely } from "kysely";

/** What a session says of tasks that it owns and that do not run, for the doctor. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column stalled json not null default '[]'`.execute(db);
}
