import type { Kysely } from "kysely";
import { Migrator } from "kysely/migration";
import { up as tasks } from "./migrations/0001-tasks.ts";
import { up as documents } from "./migrations/0002-documents.ts";
import { up as sessionKinds } from "./migrations/0003-session-kinds.ts";
import { up as workers } from "./migrations/0004-workers.ts";
import { up as followedTasks } from "./migrations/0005-followed-tasks.ts";
import { up as activity } from "./migrations/0006-activity.ts";
import { up as crashes } from "./migrations/0007-crashes.ts";
import { up as claims } from "./migrations/0008-claims.ts";
import { up as stalledTasks } from "./migrations/0010-stalled-tasks.ts";
import type { Database } from "./schema.ts";

/** All steps of the schema, in order. There are no steps back, and a released step never changes. */
const MIGRATIONS = {
  "0001-tasks": { up: tasks },
  "0002-documents": { up: documents },
  "0003-session-kinds": { up: sessionKinds },
  "0004-workers": { up: workers },
  "0005-followed-tasks": { up: followedTasks },
  "0006-activity": { up: activity },
  "0007-crashes": { up: crashes },
  "0008-claims": { up: claims },
  "0010-stalled-tasks": { up: stalledTasks },
};

/** The newest step that this program knows. */
export const SCHEMA_VERSION = Object.keys(MIGRATIONS).at(-1)!;

/** Error for a database that a newer program has migrated. This program must not use it. */
export class DatabaseTooNew extends Error {
  constructor(found: string) {
    super(`the database is at schema ${found}, newer than this program's ${SCHEMA_VERSION}: run a newer Spool`);
    this.name = "DatabaseTooNew";
  }
}

/** Error for a database that lacks steps that this program needs. */
export class DatabaseTooOld extends Error {
  constructor(found: string) {
    super(`the database is at schema ${found}, older than this program's ${SCHEMA_VERSION}: run spool migrate`);
    this.name = "DatabaseTooOld";
  }
}

/**
 * Applies missing steps of the schema, in one transaction. Several processes may call it at once.
 *
 * @returns the steps that this call applied
 * @throws DatabaseTooNew
 */
export async function migrate(db: Kysely<Database>): Promise<string[]> {
  refuseNewer(await appliedVersions(db));
  const { error, results = [] } = await migrator(db).migrateToLatest();
  if (error !== undefined) throw error;
  return results.filter(({ status }) => status === "Success").map(({ migrationName }) => migrationName);
}

/**
 * Checks that the schema is the one of this program, for a server that may not change it.
 *
 * @throws DatabaseTooNew, DatabaseTooOld
 */
export async function requireCurrentSchema(db: Kysely<Database>): Promise<void> {
  const applied = await appliedVersions(db);
  refuseNewer(applied);
  if (applied.at(-1) !== SCHEMA_VERSION) throw new DatabaseTooOld(applied.at(-1) ?? "none");
}

function refuseNewer(applied: readonly string[]): void {
  const unknown = applied.filter((name) => !Object.hasOwn(MIGRATIONS, name)).at(-1);
  if (unknown !== undefined) throw new DatabaseTooNew(unknown);
}

async function appliedVersions(db: Kysely<Database>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === MIGRATION_TABLE)) return [];
  const rows = await db
    .withTables<{ [MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(MIGRATION_TABLE)
    .select("name")
    .orderBy("name")
    .execute();
  return rows.map(({ name }) => name);
}

const MIGRATION_TABLE = "spool_migrations";

function migrator(db: Kysely<Database>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(MIGRATIONS) },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: "spool_migrations_lock",
  });
}
