import { sql } from "kysely";
import type { Kysely } from "kysely";
import { Migrator } from "kysely/migration";
import type { Migration } from "kysely/migration";
import type { Database } from "./schema.ts";

/** A step of the schema. */
export interface SchemaStep extends Pick<Migration, "up"> {
  /**
   * The oldest newest-step of a program that may run on a database with this step. Default: the step itself, so older
   * programs are refused.
   */
  runsFrom?: string;
}

/** The steps that a program knows, by name. The names ascend in the order of the steps. */
export type SchemaSteps = Readonly<Record<string, SchemaStep>>;

/** The steps of a database, for a program that may run on it. */
interface SchemaState {
  /** The newest step of the database; null: it has none. */
  newest: string | null;
  /** Whether a newer program has applied steps that this program does not know. */
  isNewer: boolean;
  /** The steps of this program that the database lacks, in order. */
  missing: readonly string[];
}

/** The steps of a database that has all steps of this program. */
export type CompleteSchema = SchemaState & { newest: string };

/** Error for a database with a step on which this program must not run: a newer program has migrated it. */
export class DatabaseTooNew extends Error {
  constructor({ found, program, runsFrom }: { found: string; program: string; runsFrom: string }) {
    super(
      `the database is at schema ${found}, newer than this program's ${program}, and takes programs from ${runsFrom} on: run a newer Spool`,
    );
    this.name = "DatabaseTooNew";
  }
}

/** Error for a database that lacks steps that this program needs. */
export class DatabaseTooOld extends Error {
  constructor({ found, program }: { found: string | null; program: string }) {
    super(`the database is at schema ${found ?? "none"}, older than this program's ${program}: run spool migrate`);
    this.name = "DatabaseTooOld";
  }
}

/** Error for a database that has steps that this program does not know, and lacks steps that this program needs. */
export class DatabaseDiverged extends Error {
  constructor({ found, program, missing }: { found: string; program: string; missing: string }) {
    super(
      `the database is at schema ${found}, which this program (${program}) does not know, and lacks step ${missing}: run spool migrate of the newest Spool that used this database`,
    );
    this.name = "DatabaseDiverged";
  }
}

/** Returns the newest step of a program. */
export function newestStep(steps: SchemaSteps): string {
  return Object.keys(steps).at(-1)!;
}

/**
 * Reads the steps of a database, and checks that this program may run on them.
 *
 * @throws DatabaseTooNew, DatabaseDiverged
 */
async function readSchema(db: Kysely<Database>, steps: SchemaSteps): Promise<SchemaState> {
  const applied = await appliedSteps(db);
  const unknown = applied.filter((name) => !Object.hasOwn(steps, name));
  const missing = Object.keys(steps).filter((name) => !applied.includes(name));
  const program = newestStep(steps);
  const runsFrom = unknown.length === 0 ? new Map<string, string>() : await readCompatibility(db);
  for (const found of unknown) {
    // A step without a row is of a program that said nothing about older programs.
    const oldest = runsFrom.get(found) ?? found;
    if (program < oldest) throw new DatabaseTooNew({ found, program, runsFrom: oldest });
  }
  const found = unknown.at(-1);
  // The missing steps would be applied after a step that was written to follow them.
  if (found !== undefined && missing.length > 0) {
    throw new DatabaseDiverged({ found, program, missing: missing[0]! });
  }
  return { newest: applied.at(-1) ?? null, isNewer: found !== undefined, missing };
}

/**
 * Checks that this program may run on a database, which has all steps of this program.
 *
 * @throws DatabaseTooNew, DatabaseDiverged, DatabaseTooOld
 */
export async function requireSteps(db: Kysely<Database>, steps: SchemaSteps): Promise<CompleteSchema> {
  const state = await readSchema(db, steps);
  const { newest, missing } = state;
  if (newest === null || missing.length > 0) {
    throw new DatabaseTooOld({ found: newest, program: newestStep(steps) });
  }
  return { ...state, newest };
}

/**
 * Applies the missing steps in one transaction, and stores which programs may run on each step. Several processes may
 * call it at once. If no step is missing, it only reads, so the role needs no right to create tables.
 *
 * @returns the steps that this call applied
 * @throws DatabaseTooNew, DatabaseDiverged, and errors of a step
 */
export async function applySteps(db: Kysely<Database>, steps: SchemaSteps): Promise<string[]> {
  const { newest, missing } = await readSchema(db, steps);
  if (missing.length === 0) return [];
  const { error, results = [] } = await migrator(db, steps).migrateToLatest();
  if (error !== undefined) {
    // A newer program may have migrated since the read. The migrator refuses its steps, whether or not they are accepted.
    const now = await readSchema(db, steps);
    if (now.newest === newest) throw error;
    return applySteps(db, steps);
  }
  return results.filter(({ status }) => status === "Success").map(({ migrationName }) => migrationName);
}

const MIGRATION_TABLE = "spool_migrations";
const COMPATIBILITY_TABLE = "spool_schema_compatibility";

async function appliedSteps(db: Kysely<Database>): Promise<string[]> {
  if (!(await hasTable(db, MIGRATION_TABLE))) return [];
  const rows = await db
    .withTables<{ [MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(MIGRATION_TABLE)
    .select("name")
    .execute();
  return rows.map(({ name }) => name).sort(); // By code units, whatever the collation of the database.
}

async function readCompatibility(db: Kysely<Database>): Promise<Map<string, string>> {
  if (!(await hasTable(db, COMPATIBILITY_TABLE))) return new Map();
  const { rows } = await sql<{ step: string; runs_from: string }>`
    select step, runs_from from ${sql.table(COMPATIBILITY_TABLE)}`.execute(db);
  return new Map(rows.map(({ step, runs_from: runsFrom }) => [step, runsFrom]));
}

async function hasTable(db: Kysely<Database>, table: string): Promise<boolean> {
  const { rows } = await sql`select where to_regclass(${table}) is not null`.execute(db);
  return rows.length > 0;
}

/**
 * Stores which programs may run on each step. The table is not part of a step, because a program of before the table
 * refuses a database with a step that it does not know.
 */
async function writeCompatibility(trx: Kysely<Database>, steps: SchemaSteps): Promise<void> {
  await sql`
    create table if not exists ${sql.table(COMPATIBILITY_TABLE)} (
      step text primary key,
      runs_from text not null
    )`.execute(trx);
  const names = Object.keys(steps);
  const runsFrom = names.map((name) => steps[name]!.runsFrom ?? name);
  await sql`
    insert into ${sql.table(COMPATIBILITY_TABLE)} (step, runs_from)
    select * from unnest(${names}::text[], ${runsFrom}::text[])
    on conflict (step) do nothing`.execute(trx);
}

function migrator(db: Kysely<Database>, steps: SchemaSteps): Migrator {
  const last = newestStep(steps);
  const migrations = Object.entries(steps).map(([name, { up }]) => {
    const upAndStored: Migration["up"] = async (trx) => {
      await up(trx);
      await writeCompatibility(trx, steps); // In the transaction and under the lock of the steps.
    };
    return [name, { up: name === last ? upAndStored : up }] as const;
  });
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: "spool_migrations_lock",
  });
}
