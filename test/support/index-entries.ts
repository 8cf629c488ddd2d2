import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../src/store/schema.ts";

/** Counts the index entries of tasks that a statement reads. */
export function readEntries(
  db: Kysely<Database>,
  statement: (trx: Transaction<Database>) => Promise<unknown>,
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const count = async () => {
      const { rows } = await sql<{ entries: number }>`
        select sum(pg_stat_get_xact_tuples_returned(indexrelid))::int as entries
        from pg_index where indrelid = 'tasks'::regclass`.execute(trx);
      return rows[0]!.entries;
    };
    const before = await count();
    await statement(trx);
    return (await count()) - before;
  });
}
