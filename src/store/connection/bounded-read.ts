import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "../schema.ts";

/**
 * Reads for a report: in a transaction that may not write, whose statements are given up by the server
 * after limitMs each (PGlite knows no such limit).
 *
 * @throws what isStatementTimeout tells, StoreUnavailable
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
