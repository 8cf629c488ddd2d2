import { sql } from "kysely";
import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { Database } from "../schema.ts";
import { SUMMARY_COLUMNS, toTask } from "./task-columns.ts";
import type { LockedTasks } from "./transitions.ts";

/** Why a sweeper may take a task from its owner, or from the queue. */
export type OverdueReason = "lost" | "cancel" | "deadline" | "expired";

/** Selects one task, or the tasks of one session. */
export type OverdueFilter = { task_id: string } | { lease: string };

/**
 * Returns the condition for a task to be overdue:
 *
 * - `lost`: the task runs, and its session is gone or expired more than graceMs ago.
 * - `cancel`: the task runs, and was asked to cancel more than graceMs ago.
 * - `deadline`: the task runs, and the deadline of its attempt passed more than graceMs ago.
 * - `expired`: the task waits, and its own deadline passed more than graceMs ago.
 */
function overdue(reason: OverdueReason, graceMs: number): RawBuilder<boolean> {
  const before = sql`now() - ${graceMs}::int * interval '1 millisecond'`;
  switch (reason) {
    case "lost":
      return sql`status = 'running' and not exists (
        select from sessions s where s.session_id = tasks.lease and s.expires_at > ${before})`;
    case "cancel":
      return sql`status = 'running' and cancel_requested_at < ${before}`;
    case "deadline":
      return sql`status = 'running' and attempt_deadline_at < ${before}`;
    case "expired":
      return sql`status = 'pending' and deadline_at < ${before}`;
  }
}

/**
 * Locks overdue tasks of the namespace, up to a limit. Returns them without their params. Rows that another process has
 * locked are skipped, so any number of sweepers take different tasks, and none waits for a row.
 */
export async function lockOverdueTasks(
  trx: Transaction<Database>,
  query: { namespace: string; reason: OverdueReason; graceMs: number; limit: number; only?: OverdueFilter },
): Promise<LockedTasks> {
  const { namespace, reason, graceMs, limit, only = {} } = query;
  const locked = await trx
    .selectFrom("tasks")
    .select("task_id")
    .where("namespace", "=", namespace)
    .where(({ and }) => and(only))
    .where(overdue(reason, graceMs))
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
  if (locked.length === 0) return { tasks: [], at: new Date(0) };
  // The condition is checked again under the lock. For a row that has changed since its first read, Postgres itself
  // only checks the row's columns again, not the sessions. So the task of a live session would count as lost.
  const rows = await trx
    .selectFrom("tasks")
    .select([...SUMMARY_COLUMNS, sql<Date>`clock_timestamp()`.as("at"), HAS_DIED.as("hasDied")])
    .where("task_id", "=", sql<string>`any(${sql.val(locked.map((row) => row.task_id))}::uuid[])`)
    .where(overdue(reason, graceMs))
    .execute();
  const died = new Set(rows.filter(({ hasDied }) => hasDied).map((row) => row.task_id));
  return { tasks: rows.map(toTask), at: rows[0]?.at ?? new Date(0), died };
}

/**
 * Whether the session of a lost task has crashed: it expired without being marked as about to end. A session that has
 * left in order has no row any more.
 */
const HAS_DIED = sql<boolean>`exists (
  select from sessions s where s.session_id = tasks.lease and s.expires_at <= now() and not s.is_leaving)`;

/** The most overdue tasks of a reason that readOverdueTasks returns. */
export const OVERDUE_COUNTED_MAX = 1_000;

/** A task that a sweeper should have taken already. */
export interface OverdueTask {
  taskId: string;
  attempt: number;
  /** How long the task has been overdue; null: its session is gone, so the time is unknown. */
  overdueMs: number | null;
}

/** Reads tasks that have been overdue for longer than lateMs, as sweepers define it: at most OVERDUE_COUNTED_MAX. */
export async function readOverdueTasks(
  db: Kysely<Database>,
  query: { namespace: string; reason: OverdueReason; graceMs: number; lateMs: number },
): Promise<OverdueTask[]> {
  const { namespace, reason, graceMs, lateMs } = query;
  const dueAt = {
    lost: sql`(select s.expires_at from sessions s where s.session_id = tasks.lease)`,
    cancel: sql`cancel_requested_at`,
    deadline: sql`attempt_deadline_at`,
    expired: sql`deadline_at`,
  }[reason];
  return db
    .selectFrom("tasks")
    .select(["task_id as taskId", "attempt"])
    .select(sql<number | null>`(extract(epoch from now() - ${dueAt}) * 1000)::float8 - ${graceMs}::int`.as("overdueMs"))
    .where("namespace", "=", namespace)
    .where(overdue(reason, graceMs + lateMs))
    .limit(OVERDUE_COUNTED_MAX)
    .execute();
}
