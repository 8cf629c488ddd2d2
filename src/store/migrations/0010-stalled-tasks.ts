import { sql } from "kysely";
import type { Kysely } from "kysely";

/** Adds the tasks that a session owns and that do not run. The session reports them for the doctor. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column stalled json not null default '[]'`.execute(db);
}
