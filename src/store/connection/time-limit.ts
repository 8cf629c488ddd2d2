import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { Database } from "../schema.ts";

/**
 * Reads by a statement that may turn out to be a long one: a server gives it up after limitMs (PGlite knows no such
 * limit), with an error that isStatementTimeout tells.
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
