import { sql } from "kysely";
import type { RawBuilder, Transaction } from "kysely";
import type { Database } from "./schema.ts";
import { SUMMARY_COLUMNS, toTask } from "./task-queries.ts";
import { readClock } from "./transitions.ts";
import type { LockedTasks } from "./transitions.ts";

/** Why a task may be taken from its owner, or from the queue. */
export type OverdueReason = "lost" | "cancel" | "deadline" | "expired";

/**
 * When a task is overdue. `lost`: it runs and its session is gone or has run out. `cancel` and `deadline`: it runs, and
 * was asked to cancel, or its attempt was due, longer ago than the grace. `expired`: it waits, past its own deadline.
 */
function overdue(reason: OverdueReason, graceMs: number): RawBuilder<boolean> {
  const before = sql`now() - ${graceMs}::int * interval '1 millisecond'`;
  switch (reason) {
    case "lost":
      return sql`status = 'running' and not exists (
        select from sessions s where s.session_id = tasks.lease and s.expires_at > now())`;
    case "cancel":
      return sql`status = 'running' and cancel_requested_at < ${before}`;
    case "deadline":
      return sql`status = 'running' and attempt_deadline_at < ${before}`;
    case "expired":
      return sql`status = 'pending' and deadline_at < ${before}`;
  }
}

/**
 * Locks tasks of the namespace that are overdue, up to a limit, without their params. Those that somebody else has
 * locked are left to him: any number of sweepers take different tasks, and none waits for a row.
 */
export async function lockOverdueTasks(
  trx: Transaction<Database>,
  { namespace, reason, graceMs, limit }: { namespace: string; reason: OverdueReason; graceMs: number; limit: number },
): Promise<LockedTasks> {
  const rows = await trx
    .selectFrom("tasks")
    .select(SUMMARY_COLUMNS)
    .where("namespace", "=", namespace)
    .where(overdue(reason, graceMs))
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
  return rows.length === 0 ? { tasks: [], at: new Date(0) } : { tasks: rows.map(toTask), at: await readClock(trx) };
}
