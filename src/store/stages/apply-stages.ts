import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { inLockedTransaction, MigrationBlocked, withMigrationLock } from "./migration-lock.ts";
import type { LockWait } from "./migration-lock.ts";
import { BlockerWatch, WaitReport } from "./migration-watch.ts";
import type { MigrationEvent } from "./migration-watch.ts";
import { runStage, runStageOnEmpty } from "./run-stage.ts";
import { readPid } from "./sessions.ts";
import { describeStage } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { createRecords, recordStep, writeCompatibility } from "./step-records.ts";

/** How long a migration waits for another one, and for the lock of a stage. */
const WAIT_MS_DEFAULT = 600_000;
/** The lock of Kysely's Migrator, which Spool 0.1.0 and 0.2.0 use. */
const FORMER_LOCK = 3853314791062309107n;

export interface MigrationOptions {
  /** How long to wait for another migration, and for the lock of each stage, in ms. Default: 10 minutes. */
  waitMs?: number;
  onEvent?(event: MigrationEvent): void;
}

/** A step of a program, with all that is stored about it. */
export interface NamedStep {
  name: string;
  stages: readonly Stage[];
}

/** The steps to apply, read anew under the lock. */
export interface Migration {
  /** Reads the missing steps. */
  read(db: Kysely<Database>): Promise<{ isEmpty: boolean; missing: readonly NamedStep[] }>;
  /** The oldest program that may run on each step of this program. */
  runsFrom: ReadonlyMap<string, string>;
}

/**
 * Applies all steps in one transaction, on a database that has none.
 *
 * @returns the applied steps; null: another process has applied steps since
 */
export function applyToEmpty(
  db: Kysely<Database>,
  migration: Migration,
  { waitMs = WAIT_MS_DEFAULT, onEvent = () => {} }: MigrationOptions,
): Promise<string[] | null> {
  const work = async (trx: Kysely<Database>) => {
    if (isShared(db)) await sql`select pg_advisory_xact_lock(${sql.lit(FORMER_LOCK)})`.execute(trx);
    const { isEmpty, missing } = await migration.read(trx);
    if (!isEmpty) return null;
    await createRecords(trx);
    for (const { name, stages } of missing) {
      for (const stage of stages) await runStageOnEmpty(trx, stage);
      await recordStep(trx, name);
    }
    await writeCompatibility(trx, migration.runsFrom);
    return missing.map(({ name }) => name);
  };
  return isShared(db) ? inLockedTransaction(db, lockWait(waitMs, onEvent), work) : db.transaction().execute(work);
}

/**
 * Applies the missing steps, one stage after the other, while other sessions use the database. If the process ends
 * before all are applied, the next call continues.
 *
 * @returns the applied steps
 */
export async function applyInStages(
  db: Kysely<Database>,
  migration: Migration,
  { waitMs = WAIT_MS_DEFAULT, onEvent = () => {} }: MigrationOptions,
): Promise<string[]> {
  if (!isShared(db)) return db.connection().execute((connection) => runSteps({ connection, migration, onEvent }));
  return withMigrationLock(db, lockWait(waitMs, onEvent), async (connection) => {
    await prepareSession(connection);
    try {
      return await runSteps({ connection, migration, onEvent, shared: { db, waitMs } });
    } finally {
      await resetSession(connection).catch(() => {}); // The connection may be lost.
    }
  });
}

async function runSteps({
  connection,
  migration,
  onEvent,
  shared,
}: {
  connection: Kysely<Database>;
  migration: Migration;
  onEvent(event: MigrationEvent): void;
  /** Null: no other session uses the database. */
  shared?: { db: Kysely<Database>; waitMs: number };
}): Promise<string[]> {
  const { missing } = await migration.read(connection);
  if (missing.length === 0) return [];
  let at = { step: "", stage: "" };
  let report = new WaitReport(() => {});
  await using _watch =
    shared === undefined
      ? null
      : new BlockerWatch(shared.db, await readPid(connection), (sessions) => report.waitsFor(sessions));
  const { waitMs = 0 } = shared ?? {};
  const blocked = () =>
    new MigrationBlocked({ what: `${at.step} (${at.stage}) got no lock`, waitMs, sessions: report.sessions });
  const run = {
    connection,
    isShared: shared !== undefined,
    waitMs,
    onBatch: (rows: number) => onEvent({ type: "batch", ...at, rows }),
    blocked,
  };
  const begin = (step: string, stage: string) => {
    at = { step, stage };
    const here = at;
    report = new WaitReport((waitedMs, sessions) => onEvent({ type: "blocked", ...here, waitedMs, sessions }));
    onEvent({ type: "stage", ...at });
  };
  for (const { name, stages } of missing) {
    const record = async (trx: Kysely<Database>) => {
      await recordStep(trx, name);
      await writeCompatibility(trx, upTo(name, migration.runsFrom));
    };
    for (const [number, stage] of stages.entries()) {
      begin(name, describeStage(stage));
      await runStage(run, stage, number === stages.length - 1 ? record : undefined);
    }
    if (stages.length === 0) await connection.transaction().execute(record);
    onEvent({ type: "applied", step: name });
  }
  return missing.map(({ name }) => name);
}

function lockWait(waitMs: number, onEvent: (event: MigrationEvent) => void): LockWait {
  return { waitMs, onLocked: (waitedMs, sessions) => onEvent({ type: "locked", waitedMs, sessions }) };
}

/** Returns the entries of a step and of those before it. */
function upTo(name: string, runsFrom: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...runsFrom].filter(([step]) => step <= name));
}

/** Whether other sessions can use the database: not if Postgres runs in this process. */
function isShared(db: Kysely<Database>): boolean {
  return db.getExecutor().adapter.supportsMultipleConnections !== false;
}

/**
 * Settings of the session that migrates. A build of an index waits for all older transactions, without a limit of the
 * role. If the machine of the migrator is lost without a sign, Postgres ends the session, and its lock, within 25 s.
 */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  application_name: "spool migrate",
  lock_timeout: "0",
  statement_timeout: "0",
  tcp_keepalives_idle: "10",
  tcp_keepalives_interval: "5",
  tcp_keepalives_count: "3",
};

async function prepareSession(connection: Kysely<Database>): Promise<void> {
  for (const [name, value] of Object.entries(SESSION_SETTINGS)) {
    await sql`select set_config(${name}, ${value}, false)`.execute(connection);
  }
}

async function resetSession(connection: Kysely<Database>): Promise<void> {
  for (const name of Object.keys(SESSION_SETTINGS)) await sql.raw(`reset ${name}`).execute(connection);
}
