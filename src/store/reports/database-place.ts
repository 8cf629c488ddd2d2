import { sql } from "kysely";
import type { Kysely } from "kysely";
import { parseDatabaseUrl } from "../connection/database-address.ts";
import type { Database } from "../schema.ts";

/** Returns a text that is the same for two connections to one schema of one server, and differs for others. */
export async function readPlace(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ place: string }>`
    select concat_ws(' ', extract(epoch from pg_postmaster_start_time()), current_setting('data_directory_mode'),
      (select oid from pg_database where datname = current_database()), current_schema()) as place`.execute(db);
  return rows[0]!.place;
}

/** Creates the schema that a URL names, if it names one that does not exist. */
export async function createOwnSchema(db: Kysely<Database>, url: string): Promise<void> {
  const { schema } = parseDatabaseUrl(url);
  if (schema === null) return;
  const { rows } = await sql`select from pg_namespace where nspname = ${schema}`.execute(db);
  if (rows.length === 0) await sql`create schema if not exists ${sql.id(schema)}`.execute(db);
}

/** Whether a database holds tasks, or what only the first shard of a service holds. */
export async function holdsData(db: Kysely<Database>): Promise<boolean> {
  const { rows } = await sql<{ holds: boolean }>`
    select exists (select from tasks) or exists (select from namespaces) or exists (select from shards)
      or exists (select from tokens) as holds`.execute(db);
  return rows[0]!.holds;
}
