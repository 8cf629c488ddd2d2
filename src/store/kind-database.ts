import { CompiledQuery } from "kysely";
import type { Kysely } from "kysely";
import type { KindDatabase, KindQueries } from "../domain/kind-database.ts";
import type { Database } from "./schema.ts";

/** Returns the part of a database that the code of kinds can use. */
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
