import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Store } from "../database.ts";
import type { Database } from "../schema.ts";

/** How long the connection that holds the lock may be idle. After that, another server may export the same tasks. */
const IDLE_MS_MAX = 10 * 60_000;

/**
 * Does work while no other server of the namespace does such work. The lock is that of a transaction, so it works behind
 * a pooler, and ends with the connection. The transaction has no snapshot and writes nothing: it does not keep vacuum
 * from its work. If its connection is lost, the work goes on without the lock.
 *
 * @returns null if another server has the lock
 */
export async function withExportLock<Result>(
  { priorityDb, exclusive }: Pick<Store, "priorityDb" | "exclusive">,
  namespace: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  if (exclusive) return work(); // No other server, and one connection for all.
  const trx = await priorityDb.startTransaction().execute();
  try {
    return (await tryLock(trx, namespace)) ? await work() : null;
  } finally {
    await trx
      .rollback()
      .execute()
      .catch(() => {});
  }
}

async function tryLock(trx: Kysely<Database>, namespace: string): Promise<boolean> {
  const { rows } = await sql<{ isLocked: boolean }>`/* spool_export_lock */
select pg_try_advisory_xact_lock(hashtextextended('spool retention_export ' || ${namespace}::text, 0)) as "isLocked"`.execute(
    trx,
  );
  // A query with parameters keeps its snapshot until the next statement. This one has no parameters.
  await sql`set local idle_in_transaction_session_timeout = ${sql.lit(IDLE_MS_MAX)}`.execute(trx);
  return rows[0]!.isLocked;
}
