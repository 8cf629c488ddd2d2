import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import { deleteOldAuditEvents } from "../../store/access/audit-log.ts";
import type { Store } from "../../store/database.ts";

const SWEEP_MS = 3_600_000;
/** How many acts one commit deletes. */
const BATCH_MAX = 1_000;

/** Deletes acts from the audit log after their retention, in small commits. Every server may do so. */
export function auditSweeper(
  { db }: Pick<Store, "db">,
  { retentionMs, log }: { retentionMs: number; log: Logger },
): Loop {
  return new Loop({
    name: "audit-sweeper",
    everyMs: SWEEP_MS,
    log,
    async turn(signal) {
      while (!signal.aborted && (await deleteOldAuditEvents(db, { retentionMs, limit: BATCH_MAX })) === BATCH_MAX);
    },
  });
}
