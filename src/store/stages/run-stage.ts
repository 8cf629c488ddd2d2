import { sql } from "kysely";
import type { Kysely } from "kysely";
import { pause } from "../../async/pause.ts";
import { backoffMs } from "../../async/backoff.ts";
import { sqlstateOf } from "../errors.ts";
import type { Database } from "../schema.ts";
import type { BackfillStage, IndexStage, Stage, TransactionStage } from "./stage.ts";

/**
 * The longest time that a statement of a short transaction waits for a lock. While it waits, other statements on the
 * table queue behind it.
 */
const LOCK_TIMEOUT_MS = 500;
/**
 * The longest time that a short transaction waits for vacuum to leave its table, in a lock mode that blocks no reader and
 * no writer. Postgres cancels an autovacuum only if it has kept a session waiting for `deadlock_timeout`, which is 1 s.
 */
const VACUUM_TIMEOUT_MS = 5_000;
/** The pause after a lock timeout, in which the statements of other sessions run. */
const RETRY_BACKOFF = { firstMs: 250, maxMs: 5_000, jitter: 0.5 };
/** The shortest pause after a batch of a backfill. A pause is at least as long as its batch took. */
const BATCH_PAUSE_MS_MIN = 10;

/** Codes of a statement that lost against another session, and can be tried again. */
const RETRYABLE = new Set([
  "55P03", // lock_not_available: the lock timeout
  "40P01", // deadlock_detected
  "40001", // serialization_failure
]);

/** How stages run. */
export interface StageRun {
  /** One connection, which holds the migration lock. */
  connection: Kysely<Database>;
  /** Whether other sessions use the database. If not, nothing runs concurrently, and no lock is waited for. */
  isShared: boolean;
  /** How long a stage is tried again after lock timeouts. */
  waitMs: number;
  /** Called after each batch of a backfill, with the rows that the stage has changed so far. */
  onBatch(rows: number): void;
  /** Returns the error for a stage that got no lock within `waitMs`. */
  blocked(): Error;
}

/**
 * Runs a stage on a database with tasks.
 *
 * @param record commits together with a stage that is a transaction, else after it
 */
export async function runStage(run: StageRun, stage: Stage, record?: (db: Kysely<Database>) => Promise<void>) {
  if (stage.type === "transaction") return runTransaction(run, stage, record);
  if (stage.type === "backfill") await runBackfill(run, stage);
  else await retried(run, () => runOutside(run, stage));
  if (record !== undefined) await shortTransaction(run, record);
}

/** Runs a stage inside of a transaction that runs all steps, on a database without tasks. */
export async function runStageOnEmpty(trx: Kysely<Database>, stage: Stage): Promise<void> {
  switch (stage.type) {
    case "transaction":
      for (const statement of stage.statements) await sql.raw(statement).execute(trx);
      return;
    case "index":
      return execute(trx, `create ${indexText(stage)}`);
    case "drop index":
      return execute(trx, `drop index ${stage.index}`);
    case "validate":
      return execute(trx, validateText(stage));
    case "backfill":
    case "vacuum":
      return; // There are no rows.
  }
}

function runTransaction(
  run: StageRun,
  { table, statements }: TransactionStage,
  record?: (db: Kysely<Database>) => Promise<void>,
): Promise<void> {
  return shortTransaction(run, async (trx) => {
    if (run.isShared && table !== null) await waitForVacuum(trx, table);
    for (const statement of statements) await sql.raw(statement).execute(trx);
    await record?.(trx);
  });
}

/** Runs a transaction that never waits long for a lock, and tries it again until it has its locks. */
function shortTransaction<Result>(run: StageRun, work: (trx: Kysely<Database>) => Promise<Result>): Promise<Result> {
  return retried(run, () =>
    run.connection.transaction().execute(async (trx) => {
      if (run.isShared) await limitLocks(trx, LOCK_TIMEOUT_MS);
      return work(trx);
    }),
  );
}

/** Locks a table against vacuum. */
async function waitForVacuum(trx: Kysely<Database>, table: string): Promise<void> {
  await limitLocks(trx, VACUUM_TIMEOUT_MS);
  await execute(trx, `lock table ${table} in share update exclusive mode`);
  await limitLocks(trx, LOCK_TIMEOUT_MS);
}

async function limitLocks(trx: Kysely<Database>, ms: number): Promise<void> {
  await sql`select set_config('lock_timeout', ${`${ms}`}, true)`.execute(trx);
}

async function runBackfill(run: StageRun, { statement }: BackfillStage): Promise<void> {
  for (let rows = 0; ;) {
    const begunAt = performance.now();
    const { numAffectedRows = 0n } = await shortTransaction(run, (trx) => sql.raw(statement).execute(trx));
    if (numAffectedRows === 0n) return;
    rows += Number(numAffectedRows);
    run.onBatch(rows);
    if (run.isShared) await pause(Math.max(BATCH_PAUSE_MS_MIN, performance.now() - begunAt));
  }
}

/** Runs a stage whose statement Postgres refuses in a transaction, or which may take long. */
async function runOutside(run: StageRun, stage: Exclude<Stage, TransactionStage | BackfillStage>): Promise<void> {
  const { connection } = run;
  const concurrently = run.isShared ? "concurrently" : "";
  switch (stage.type) {
    case "index":
      // A build that was interrupted leaves an index that takes writes and serves no reads.
      if (await isInvalid(connection, stage.index))
        await execute(connection, `drop index ${concurrently} if exists ${stage.index}`);
      return execute(connection, `create ${indexText(stage, `${concurrently} if not exists`)}`);
    case "drop index":
      return execute(connection, `drop index ${concurrently} if exists ${stage.index}`);
    case "validate":
      return execute(connection, validateText(stage));
    case "vacuum":
      return execute(connection, `vacuum (analyze) ${stage.table}`);
  }
}

async function execute(db: Kysely<Database>, statement: string): Promise<void> {
  await sql.raw(statement).execute(db);
}

function indexText({ isUnique = false, index, table, definition }: IndexStage, how = ""): string {
  return `${isUnique ? "unique " : ""}index ${how} ${index} on ${table} ${definition}`;
}

function validateText({ table, constraint }: { table: string; constraint: string }): string {
  return `alter table ${table} validate constraint ${constraint}`;
}

async function isInvalid(db: Kysely<Database>, index: string): Promise<boolean> {
  const { rows } = await sql`
    select from pg_index where indexrelid = to_regclass(${index}) and not indisvalid`.execute(db);
  return rows.length > 0;
}

/** Tries work again, with backoff, while it loses against another session. */
async function retried<Result>(run: StageRun, work: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + run.waitMs;
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!RETRYABLE.has(sqlstateOf(error) ?? "")) throw error;
      if (performance.now() > until) throw run.blocked();
      await pause(backoffMs(failures, RETRY_BACKOFF));
    }
  }
}
