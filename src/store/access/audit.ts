import type { Transaction } from "kysely";
import type { Database } from "../schema.ts";

/** An administrative act that is to be recorded. */
export interface AuditRecord {
  /** The name of the principal. */
  actor: string;
  /** Such as `token.create`. */
  action: string;
  /** What was changed, such as the id of a token. Never a secret. */
  target: string;
  /** null: the act concerns the whole service. */
  namespace: string | null;
  details: Readonly<Record<string, unknown>>;
}

/** Appends an act to the audit log, in the transaction of its change: both are stored, or neither is. */
export async function recordAudit(trx: Transaction<Database>, record: AuditRecord): Promise<void> {
  await trx
    .insertInto("audit_events")
    .values({ ...record, details: JSON.stringify(record.details) })
    .execute();
}
