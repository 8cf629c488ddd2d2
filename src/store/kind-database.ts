import { CompiledQuery } from "kysely";
import type { Kysely } from "kysely";
import type { KindDatabase, KindQueries } from "../domain/kind-database.ts";
import type { Database } from "./schema.ts";

/** Returns what the code of kinds is given of a database. */
export function kindDatabase(db: Kysely<Database>): KindDatabase {
  return {
    ...kindQueries(db),
    transaction: (work) => db.transaction().execute((trx) => work(kindQueries(trx))),
  };
}

/** Returns the queries of kinds on one connection of a transaction, or on any connection. */
export function kindQueries(db: Kysely<Database>): KindQueries {
  return {
    async query<Row>(text: string, values: readonly unknown[] = []) {
      const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]));
      return rows;
    },
  };
}
