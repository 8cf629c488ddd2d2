import { sql } from "kysely";
import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { StopReason } from "../domain/lifecycle.ts";
import type { Database } from "./schema.ts";

/** Reasons for which a running task may be taken from its owner. */
export type OverdueReason = Extract<StopReason, "lost" | "cancel" | "deadline">;

/**
 * When a running task is overdue. `lost`: its session is gone or has run out. `cancel` and `deadline`: asked or due
 * longer ago than the grace.
 */
function overdue(reason: OverdueReason, graceMs: number): RawBuilder<boolean> {
  const before = sql`now() - ${graceMs}::int * interval '1 millisecond'`;
  switch (reason) {
    case "lost":
      return sql`not exists (select from sessions s where s.session_id = tasks.lease and s.expires_at > now())`;
    case "cancel":
      return sql`cancel_requested_at < ${before}`;
    case "deadline":
      return sql`deadline_at < ${before}`;
  }
}

interface OverdueQuery {
  namespace: string;
  reason: OverdueReason;
  graceMs: number;
}

/** Running tasks of the namespace that are overdue, up to a limit. */
export async function findOverdueTasks(
  db: Kysely<Database>,
  { namespace, reason, graceMs, limit }: OverdueQuery & { limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom("tasks")
    .select("task_id")
    .where("namespace", "=", namespace)
    .where("status", "=", "running")
    .where(overdue(reason, graceMs))
    .limit(limit)
    .execute();
  return rows.map((row) => row.task_id);
}

/** Whether a task that this transaction has locked is overdue still. */
export async function isOverdue(
  trx: Transaction<Database>,
  { taskId, reason, graceMs }: Omit<OverdueQuery, "namespace"> & { taskId: string },
): Promise<boolean> {
  const row = await trx
    .selectFrom("tasks")
    .select("task_id")
    .where("task_id", "=", taskId)
    .where("status", "=", "running")
    .where(overdue(reason, graceMs))
    .executeTakeFirst();
  return row !== undefined;
}

/** The running tasks that a session owns, and whether each was asked to cancel. */
export async function findOwnedTasks(
  db: Kysely<Database>,
  lease: string,
): Promise<{ taskId: string; attempt: number; cancelRequestedAt: Date | null }[]> {
  return db
    .selectFrom("tasks")
    .select(["task_id as taskId", "attempt", "cancel_requested_at as cancelRequestedAt"])
    .where("lease", "=", lease)
    .where("status", "=", "running")
    .execute();
}
