import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";
import { applyInStages, applyToEmpty } from "./stages/apply-stages.ts";
import type { MigrationOptions } from "./stages/apply-stages.ts";
import type { Stage } from "./stages/stage.ts";
import { readAppliedSteps, readCompatibility } from "./stages/step-records.ts";

/** A step of the schema. */
export interface SchemaStep {
  /** The parts of the step, in order. */
  stages: readonly Stage[];
  /**
   * The oldest newest-step of a program that may run on a database with this step. Default: the step itself, so older
   * programs are refused.
   */
  runsFrom?: string;
}

/** The steps that a program knows, by name. The names ascend in the order of the steps. */
export type SchemaSteps = Readonly<Record<string, SchemaStep>>;

/** The steps of a database, for a program that may run on it. */
export interface SchemaState {
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
export async function readSchema(db: Kysely<Database>, steps: SchemaSteps): Promise<SchemaState> {
  const applied = await readAppliedSteps(db);
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
 * Applies the missing steps, and stores which programs may run on each step. All of them are applied in one transaction
 * on an empty database, else one stage after the other, so that no statement of another session waits for long. Several
 * processes may call it at once. If no step is missing, it only reads, so the role needs no right to create tables.
 *
 * @returns the steps that this call applied
 * @throws DatabaseTooNew, DatabaseDiverged, MigrationBlocked, PoolerHoldsNoLock, and errors of a step
 */
export async function applySteps(
  db: Kysely<Database>,
  steps: SchemaSteps,
  options: MigrationOptions = {},
): Promise<string[]> {
  const { newest, missing } = await readSchema(db, steps);
  if (missing.length === 0) return [];
  const migration = {
    async read(connection: Kysely<Database>) {
      const now = await readSchema(connection, steps);
      const named = now.missing.map((name) => ({ name, stages: steps[name]!.stages }));
      return { isEmpty: now.newest === null, missing: named };
    },
    runsFrom: new Map(Object.entries(steps).map(([name, { runsFrom = name }]) => [name, runsFrom])),
  };
  const applied = newest === null ? await applyToEmpty(db, migration, options) : null;
  return applied ?? applyInStages(db, migration, options);
}
