import { sql } from "kysely";
import type { Transaction } from "kysely";
import type { Act } from "../../domain/audit-event.ts";
import type { Database } from "../schema.ts";

/** One transaction at a time holds this lock, from the number of its act to its commit. */
const LOCK = sql`select pg_advisory_xact_lock(hashtextextended('spool audit_events', 0))`;

/**
 * Appends an act to the audit log, in the transaction of its change: both are stored, or neither is. The numbers of acts
 * become visible in their order, so that no follower misses one that commits late: docs/adr/0050.
 *
 * Call this last in a transaction: other acts wait until it ends.
 */
export async function recordAudit(trx: Transaction<Database>, act: Act): Promise<void> {
  await LOCK.execute(trx);
  // A statement of its own, so that the number is drawn under the lock.
  await trx
    .insertInto("audit_events")
    .values({ ...act, details: JSON.stringify(act.details) })
    .execute();
}
