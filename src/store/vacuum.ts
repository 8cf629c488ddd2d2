import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

/** As for tables with many rows on a server: migrations/0015-storage-settings.ts. */
const DEAD_ROWS_MIN = 1_000;
const DEAD_SHARE = 0.05;
/** The age at which PostgreSQL freezes old rows. At ten times this age, it takes no more writes. */
const FROZEN_AGE_MAX = 200_000_000;

/**
 * Vacuums and analyzes the table with the most dead rows, as autovacuum does on a server. Or freezes the whole database,
 * if transaction ids are about to be reused. For the embedded database, which has no autovacuum. Other statements wait
 * meanwhile: some 50 ms for 100,000 dead rows.
 *
 * @returns the name of the table, or `database`; null: nothing needs a vacuum
 */
export async function vacuumNext(db: Kysely<Database>): Promise<string | null> {
  const { rows: old } = await sql`
    select from pg_database where datname = current_database() and age(datfrozenxid) > ${FROZEN_AGE_MAX}::int
  `.execute(db);
  if (old.length > 0) {
    await sql`vacuum (freeze, analyze)`.execute(db);
    return "database";
  }
  const { rows } = await sql<{ schema: string; name: string }>`
    select schemaname as schema, relname as name from pg_stat_user_tables
    where n_dead_tup > ${DEAD_ROWS_MIN}::int + ${DEAD_SHARE}::float8 * n_live_tup
    order by n_dead_tup desc limit 1`.execute(db);
  const table = rows[0];
  if (table === undefined) return null;
  await sql`vacuum (analyze) ${sql.id(table.schema, table.name)}`.execute(db);
  return table.name;
}
