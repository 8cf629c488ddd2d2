import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

// The tables have the form that Kysely's Migrator gives them, because Spool 0.1.0 reads and writes them by it.
const MIGRATION_TABLE = "spool_migrations";
const MIGRATION_LOCK_TABLE = "spool_migrations_lock";
const COMPATIBILITY_TABLE = "spool_schema_compatibility";

/** Creates the tables that record steps. */
export async function createRecords(trx: Kysely<Database>): Promise<void> {
  for (const statement of [
    sql`create table if not exists ${sql.table(MIGRATION_TABLE)} (
      name varchar(255) not null primary key,
      timestamp varchar(255) not null
    )`,
    sql`create table if not exists ${sql.table(MIGRATION_LOCK_TABLE)} (
      id varchar(255) not null primary key,
      is_locked integer default 0 not null
    )`,
    sql`insert into ${sql.table(MIGRATION_LOCK_TABLE)} (id, is_locked) values ('migration_lock', 0)
      on conflict do nothing`,
  ]) {
    await statement.execute(trx);
  }
}

/** Reads the names of the applied steps, in order. */
export async function readAppliedSteps(db: Kysely<Database>): Promise<string[]> {
  if (!(await hasTable(db, MIGRATION_TABLE))) return [];
  const rows = await db
    .withTables<{ [MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(MIGRATION_TABLE)
    .select("name")
    .execute();
  return rows.map(({ name }) => name).sort(); // By code units, whatever the collation of the database.
}

/** Records that a step is applied. Times ascend in the order of the steps, whatever the clock of this machine. */
export async function recordStep(trx: Kysely<Database>, name: string): Promise<void> {
  await sql`
    insert into ${sql.table(MIGRATION_TABLE)} (name, timestamp)
    select ${name}::varchar, greatest(${new Date().toISOString()} collate "C", max(timestamp collate "C"))
    from ${sql.table(MIGRATION_TABLE)}
    on conflict (name) do nothing`.execute(trx);
}

/** Reads which programs may run on each step. */
export async function readCompatibility(db: Kysely<Database>): Promise<Map<string, string>> {
  if (!(await hasTable(db, COMPATIBILITY_TABLE))) return new Map();
  const { rows } = await sql<{ step: string; runs_from: string }>`
    select step, runs_from from ${sql.table(COMPATIBILITY_TABLE)}`.execute(db);
  return new Map(rows.map(({ step, runs_from: runsFrom }) => [step, runsFrom]));
}

/**
 * Stores which programs may run on each step. The table is not part of a step, because a program of before the table
 * refuses a database with a step that it does not know.
 *
 * @param runsFrom by the name of the step
 */
export async function writeCompatibility(trx: Kysely<Database>, runsFrom: ReadonlyMap<string, string>): Promise<void> {
  await sql`
    create table if not exists ${sql.table(COMPATIBILITY_TABLE)} (
      step text primary key,
      runs_from text not null
    )`.execute(trx);
  await sql`
    insert into ${sql.table(COMPATIBILITY_TABLE)} (step, runs_from)
    select * from unnest(${[...runsFrom.keys()]}::text[], ${[...runsFrom.values()]}::text[])
    on conflict (step) do nothing`.execute(trx);
}

async function hasTable(db: Kysely<Database>, table: string): Promise<boolean> {
  const { rows } = await sql`select where to_regclass(${table}) is not null`.execute(db);
  return rows.length > 0;
}
