import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/** Sends a statement, and resolves when the database has answered. @throws StoreUnavailable */
export async function ping(db: Kysely<Database>): Promise<void> {
  await sql`select 1`.execute(db);
}
