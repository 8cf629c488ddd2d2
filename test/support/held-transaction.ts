import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../src/store/schema.ts";

/**
 * Runs work in a transaction that stays open while the test waits for others. The server would end it after a few idle
 * seconds (IDLE_IN_TRANSACTION_MS_MAX), which are soon over on a busy machine.
 */
export function inHeldTransaction<Result>(
  db: Kysely<Database>,
  work: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return db.transaction().execute(async (trx) => {
    await allowIdle(trx);
    return work(trx);
  });
}

/** Lets an open transaction be idle for as long as it takes. */
export async function allowIdle(trx: Kysely<Database>): Promise<void> {
  await sql`set local idle_in_transaction_session_timeout = 0`.execute(trx);
}
