import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { describeStage, lockOf } from "./stage.ts";
import type { Stage, StageLock } from "./stage.ts";

/** A stage as `spool migrate --plan` shows it. */
export interface PlannedStage {
  does: string;
  /** The existing table that the stage works on; null: it only creates tables. */
  table: string | null;
  lock: StageLock;
  /** The rows of the table, as the statistics of Postgres estimate them; null: unknown, or no table. */
  rows: number | null;
  /** Whether the index of the stage exists, because an earlier migration was interrupted after it. */
  isBuilt: boolean;
}

/** A missing step as `spool migrate --plan` shows it. */
export interface PlannedStep {
  step: string;
  /** The newest step of the oldest program that may start on the step. The step itself: older programs are refused. */
  runsFrom: string;
  stages: readonly PlannedStage[];
}

/** What a migration would do. */
export interface MigrationPlan {
  /** The newest step of the database; null: it has none. */
  found: string | null;
  /** The newest step after the migration. */
  target: string;
  /** Whether all steps run in one transaction, because the database is empty. */
  isOneTransaction: boolean;
  steps: readonly PlannedStep[];
}

/** Returns what the migration of missing steps would do. @param db null: the database does not exist yet */
export async function planSteps(
  db: Kysely<Database> | null,
  { newest, missing }: { newest: string | null; missing: readonly string[] },
  steps: Readonly<Record<string, { stages: readonly Stage[]; runsFrom?: string }>>,
): Promise<MigrationPlan> {
  const isEmpty = newest === null;
  const rows = db === null || isEmpty ? new Map<string, number>() : await readRows(db);
  const indexes = db === null || isEmpty ? new Set<string>() : await readIndexes(db);
  const planned = missing.map((step) => {
    const { stages, runsFrom = step } = steps[step]!;
    return { step, runsFrom, stages: stages.map((stage) => planStage(stage, { isEmpty, rows, indexes })) };
  });
  return {
    found: newest,
    target: missing.at(-1) ?? newest ?? "",
    isOneTransaction: isEmpty && missing.length > 0,
    steps: planned,
  };
}

function planStage(
  stage: Stage,
  { isEmpty, rows, indexes }: { isEmpty: boolean; rows: ReadonlyMap<string, number>; indexes: ReadonlySet<string> },
): PlannedStage {
  const { table } = stage;
  return {
    does: describeStage(stage),
    table,
    lock: isEmpty ? "none" : lockOf(stage),
    rows: table === null ? null : (rows.get(table) ?? null),
    isBuilt: stage.type === "index" && indexes.has(stage.index),
  };
}

/** Reads the estimated rows of each table. A table that was never analyzed has none. */
async function readRows(db: Kysely<Database>): Promise<Map<string, number>> {
  const { rows } = await sql<{ name: string; rows: number }>`
    select relname::text as name, reltuples::float8 as rows from pg_class
    where relkind = 'r' and reltuples >= 0 and pg_table_is_visible(oid)
      and relnamespace <> 'pg_catalog'::regnamespace`.execute(db);
  return new Map(rows.map(({ name, rows: estimate }) => [name, estimate]));
}

/** Reads the names of all valid indexes. */
async function readIndexes(db: Kysely<Database>): Promise<Set<string>> {
  const { rows } = await sql<{ name: string }>`
    select c.relname::text as name from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indisvalid and pg_table_is_visible(c.oid)`.execute(db);
  return new Set(rows.map(({ name }) => name));
}
