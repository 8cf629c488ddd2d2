import { sql } from "kysely";
import type { Kysely } from "kysely";
import { pause } from "../../async/pause.ts";
import { isPooledByTransaction } from "../reports/server-health.ts";
import type { Database } from "../schema.ts";
import { WaitReport } from "./migration-watch.ts";
import { describeSessions, LOCK_KEY, readLockHolder } from "./sessions.ts";
import type { OtherSession } from "./sessions.ts";

const TRY_EVERY_MS = 200;

/** Error for a migration that waited too long for other sessions. */
export class MigrationBlocked extends Error {
  constructor({ what, waitMs, sessions }: { what: string; waitMs: number; sessions: readonly OtherSession[] }) {
    super(
      `${what} after ${waitMs / 1_000} s, because of ${describeSessions(sessions)}: ` +
        "wait for these sessions or end them, then run spool migrate again, which continues where it stopped",
    );
    this.name = "MigrationBlocked";
  }
}

/** Error for a pooler in transaction mode, behind which a session cannot hold a lock. */
export class PoolerHoldsNoLock extends Error {
  constructor() {
    super(
      "the database is behind a pooler in transaction mode, in which a migration cannot hold its lock: " +
        "run spool migrate with a URL of Postgres itself, or of the pooler in session mode",
    );
    this.name = "PoolerHoldsNoLock";
  }
}

/** How long to wait for the lock, and what to report meanwhile. */
export interface LockWait {
  waitMs: number;
  onLocked(waitedMs: number, sessions: readonly OtherSession[]): void;
}

/**
 * Does work while a session holds the migration lock, which other migrations wait for. The work runs on the connection
 * of that session, so it fails if the lock is lost.
 *
 * The lock is tried for instead of waited for. A session that waits holds a snapshot, and an index that is built
 * concurrently waits for all snapshots.
 *
 * @throws PoolerHoldsNoLock, MigrationBlocked
 */
export async function withMigrationLock<Result>(
  db: Kysely<Database>,
  wait: LockWait,
  work: (connection: Kysely<Database>) => Promise<Result>,
): Promise<Result> {
  if (await isPooledByTransaction(db)) throw new PoolerHoldsNoLock();
  return db.connection().execute(async (connection) => {
    await untilLocked(connection, wait, async () =>
      (await tryLock(connection, "pg_try_advisory_lock")) ? true : null,
    );
    try {
      return await work(connection);
    } finally {
      // A lost connection has released the lock.
      await sql`select pg_advisory_unlock(${LOCK_KEY})`.execute(connection).catch(() => {});
    }
  });
}

/**
 * Does work in one transaction that holds the migration lock. Unlike the lock of a session, this works behind any pooler.
 *
 * @throws MigrationBlocked
 */
export async function inLockedTransaction<Result>(
  db: Kysely<Database>,
  wait: LockWait,
  work: (trx: Kysely<Database>) => Promise<Result>,
): Promise<Result> {
  const { done } = await untilLocked(db, wait, () =>
    db
      .transaction()
      .execute(async (trx) => ((await tryLock(trx, "pg_try_advisory_xact_lock")) ? { done: await work(trx) } : null)),
  );
  return done;
}

/** Repeats a try until it returns a result. Reports the holder of the lock while there is none. */
async function untilLocked<Result extends object | true>(
  db: Kysely<Database>,
  { waitMs, onLocked }: LockWait,
  attempt: () => Promise<Result | null>,
): Promise<Result> {
  const until = performance.now() + waitMs;
  const report = new WaitReport(onLocked);
  for (;;) {
    const result = await attempt();
    if (result !== null) return result;
    const sessions = await readLockHolder(db);
    if (performance.now() > until)
      throw new MigrationBlocked({ what: "another migration still runs", waitMs, sessions });
    if (sessions.length > 0) report.waitsFor(sessions); // None: it has ended since.
    await pause(TRY_EVERY_MS);
  }
}

async function tryLock(db: Kysely<Database>, lock: "pg_try_advisory_lock" | "pg_try_advisory_xact_lock") {
  const { rows } = await sql<{ isLocked: boolean }>`
    select ${sql.raw(lock)}(${LOCK_KEY}) as "isLocked"`.execute(db);
  return rows[0]!.isLocked;
}
