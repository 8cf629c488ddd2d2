import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { AuditEvent } from "../../domain/audit-event.ts";
import type { Database } from "../schema.ts";

/** Reads acts from a position on, in their order. */
export async function readAuditEvents(
  db: Kysely<Database>,
  { fromId, limit }: { fromId: bigint; limit: number },
): Promise<AuditEvent[]> {
  const rows = await db
    .selectFrom("audit_events")
    .select(["audit_id as auditId", "time", "actor", "action", "target", "namespace", "details"])
    .where("audit_id", ">=", fromId)
    .orderBy("audit_id")
    .limit(limit)
    .execute();
  return rows as AuditEvent[]; // The details were stored as JSON.
}

/**
 * Deletes acts that are older than the retention. Scans only the oldest acts, because the time rises with the number.
 *
 * @param limit how many acts to scan
 * @returns how many were deleted
 */
export async function deleteOldAuditEvents(
  db: Kysely<Database>,
  { retentionMs, limit }: { retentionMs: number; limit: number },
): Promise<number> {
  const { numAffectedRows = 0n } = await sql`/* spool_audit_retention */
delete from audit_events
where audit_id = any(array(select audit_id from audit_events order by audit_id limit ${limit}))
  and time < now() - make_interval(secs => ${retentionMs / 1_000})`.execute(db);
  return Number(numAffectedRows);
}
