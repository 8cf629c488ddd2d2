import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { Database } from "../schema.ts";

/**
 * Executes a statement that may take long. A server cancels the statement after limitMs, with an error that
 * `isStatementTimeout` recognizes. PGlite does not support this limit.
 */
export async function executeWithin<Row>(
  db: Kysely<Database>,
  limitMs: number,
  statement: RawBuilder<Row>,
): Promise<Row[]> {
  return db.transaction().execute(async (trx) => {
    await sql`select set_config('statement_timeout', ${`${limitMs}`}, true)`.execute(trx);
    return (await statement.execute(trx)).rows;
  });
}
