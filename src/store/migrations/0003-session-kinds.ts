import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Adds the kinds of a session, its capacity, and the time of its latest renewal. Sessions of an older program have the
 * defaults.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sessions
      add column kinds jsonb not null default '[]',
      add column capacity int not null default 0,
      add column seen_at timestamptz not null default now()`.execute(db);
}
