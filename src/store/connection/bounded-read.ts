import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "../schema.ts";

/**
 * Reads for a report, in a read-only transaction. A server cancels each statement after limitMs. PGlite does not
 * support this limit.
 *
 * @throws StoreUnavailable, and an error that `isStatementTimeout` recognizes
 */
export function readWithin<Result>(
  db: Kysely<Database>,
  limitMs: number,
  read: (trx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  return db.transaction().execute(async (trx) => {
    await sql`set transaction read only`.execute(trx);
    await sql`select set_config('statement_timeout', ${`${limitMs}`}, true)`.execute(trx);
    return read(trx);
  });
}
