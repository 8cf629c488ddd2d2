import type { Kysely, Transaction } from "kysely";
import type { Logger } from "pino";
import type { Act } from "../../domain/audit-event.ts";
import { recordAudit } from "../../store/access/audit.ts";
import type { Database } from "../../store/schema.ts";

interface AuditParts {
  db: Kysely<Database>;
  log: Logger;
}

/**
 * Runs a change in a transaction, and appends its acts to the audit log in the same commit. After the commit, each act
 * is logged as a line.
 *
 * @param change gets the transaction, and a function that takes an act
 */
export async function audited<Result>(
  { db, log }: AuditParts,
  change: (trx: Transaction<Database>, record: (act: Act) => void) => Promise<Result>,
): Promise<Result> {
  const acts: Act[] = [];
  const result = await db.transaction().execute(async (trx) => {
    const changed = await change(trx, (act) => acts.push(act));
    for (const act of acts) await recordAudit(trx, act);
    return changed;
  });
  for (const act of acts) log.info(act, "audit: act recorded");
  return result;
}

/**
 * Appends an act that changes nothing in the database. If the database cannot be reached, the act is only logged: such
 * acts must be possible then, too. Never rejects.
 */
export async function recordAct(parts: AuditParts, act: Act): Promise<void> {
  try {
    await audited(parts, async (_trx, record) => record(act));
  } catch (error) {
    parts.log.warn({ ...act, err: error }, "audit: act not recorded");
  }
}
