import { sql } from "kysely";
import type { Kysely } from "kysely";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import type { Database } from "../../src/store/schema.ts";
import { createDatabase } from "./postgres.ts";

/** An empty database of a test's own, and ways to open it again. */
export const EMPTY_DATABASES = {
  async Postgres() {
    const database = await createDatabase();
    const open = () => openDatabase({ url: database.url });
    return { open, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
  },
  async PGlite() {
    const store = await openDatabase({ dataDir: null });
    await sql`drop schema public cascade`.execute(store.db); // A new embedded database is migrated already.
    await sql`create schema public`.execute(store.db);
    const open = (): Promise<Store> => Promise.resolve({ ...store, close: () => Promise.resolve() });
    return { open, [Symbol.asyncDispose]: () => store.close() };
  },
};

const STRUCTURE = sql<{ part: string }>`
  select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '')
         as part
  from information_schema.columns where table_schema = 'public'
  union all select indexdef from pg_indexes where schemaname = 'public'
  union all select conrelid::regclass || pg_get_constraintdef(oid) from pg_constraint
  union all select relname || array_to_string(reloptions, ',') from pg_class where reloptions is not null
  union all select 'invalid index ' || indexrelid::regclass from pg_index where not indisvalid
  order by part`;

/** Reads the parts of a schema: columns, indexes, constraints and options. */
export async function readStructure(db: Kysely<Database>): Promise<string[]> {
  const { rows } = await STRUCTURE.execute(db);
  return rows.map(({ part }) => part);
}
