import { sql } from "kysely";
import type { Kysely } from "kysely";

/** What a session runs, how much of it at once, and when it was renewed last. One of an older program tells nothing. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sessions
      add column kinds jsonb not null default '[]',
      add column capacity int not null default 0,
      add column seen_at timestamptz not null default now()`.execute(db);
}
