import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { KindMigrations } from "../domain/kind-database.ts";
import { kindQueries } from "./kind-database.ts";
import type { Database } from "./schema.ts";

/** The lock for applying steps. If several servers start together, one applies the steps and the rest wait. */
const LOCK = sql`select pg_advisory_xact_lock(hashtextextended('spool kind_migrations', 0))`;

/** Error for a database with a step that the package does not know: a newer version of the package migrated it. */
export class KindsTooOld extends Error {
  constructor(name: string, found: string) {
    super(`the database has step "${found}" of the kinds "${name}", which this version lacks: run a newer version`);
    this.name = "KindsTooOld";
  }
}

/** Error for a database that lacks a step of a package, if the server may not apply steps. */
export class KindsNotMigrated extends Error {
  constructor(name: string, missing: string) {
    super(`the database lacks step "${missing}" of the kinds "${name}": run spool migrate --kinds FILE`);
    this.name = "KindsNotMigrated";
  }
}

/**
 * Applies the steps of a package that are not in kind_migrations, in order and in one transaction. Several processes
 * may call it at once. If no step is missing, it only reads, so the role needs no right to create tables.
 *
 * @returns the steps that this call applied, as `package/step`
 * @throws KindsTooOld, and errors of a step
 */
export async function migrateKinds(db: Kysely<Database>, kinds: KindMigrations): Promise<string[]> {
  if ((await missingKindSteps(db, kinds)).length === 0) return [];
  return db.transaction().execute(async (trx) => {
    await LOCK.execute(trx);
    await sql`
      create table if not exists kind_migrations (
        package text not null,
        name text not null,
        applied_at timestamptz not null default now(),
        primary key (package, name)
      )`.execute(trx);
    // Another process may have applied steps since the first read.
    const missing = await missingKindSteps(trx, kinds);
    for (const { name, up } of missing) {
      await up(kindQueries(trx));
      await sql`insert into kind_migrations (package, name) values (${kinds.name}, ${name})`.execute(trx);
    }
    return missing.map(({ name }) => `${kinds.name}/${name}`);
  });
}

/**
 * Checks that all steps of a package are applied, for a server that may not apply them.
 *
 * @throws KindsTooOld, KindsNotMigrated
 */
export async function requireKindMigrations(db: Kysely<Database>, kinds: KindMigrations): Promise<void> {
  const [missing] = await missingKindSteps(db, kinds);
  if (missing !== undefined) throw new KindsNotMigrated(kinds.name, missing.name);
}

/** Returns the steps of a package that the database lacks, in order. @throws KindsTooOld */
export async function missingKindSteps(db: Kysely<Database>, { name, migrations }: KindMigrations) {
  const applied = await appliedSteps(db, name);
  const unknown = applied.find((step) => !migrations.some((migration) => migration.name === step));
  if (unknown !== undefined) throw new KindsTooOld(name, unknown);
  return migrations.filter((migration) => !applied.includes(migration.name));
}

async function appliedSteps(db: Kysely<Database>, name: string): Promise<string[]> {
  const { rows: tables } = await sql`select where to_regclass('kind_migrations') is not null`.execute(db);
  if (tables.length === 0) return [];
  const { rows } = await sql<{ name: string }>`
    select name from kind_migrations where package = ${name} order by applied_at, name`.execute(db);
  return rows.map((row) => row.name);
}
