import { sql } from "kysely";
import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { Database } from "../schema.ts";
import { SUMMARY_COLUMNS, toTask } from "./task-columns.ts";
import type { LockedTasks } from "./transitions.ts";

/** Why a task may be taken from its owner, or from the queue. */
export type OverdueReason = "lost" | "cancel" | "deadline" | "expired";

/** One task, or those of one session. */
export type OverdueFilter = { task_id: string } | { lease: string };

/**
 * When a task is overdue. `lost`: it runs and its session is gone, or has run out longer ago than the grace. `cancel`
 * and `deadline`: it runs, and was asked to cancel, or its attempt was due, longer ago than the grace. `expired`: it
 * waits, past its own deadline by the grace.
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
 * Locks tasks of the namespace that are overdue, up to a limit, without their params. Those that another
 * process has locked are left to it: any number of sweepers take different tasks, and none waits for a row.
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
  // Looked at again under the lock: of a row that has changed hands since the first look, Postgres checks its own
  // columns once more and not the sessions, so that a live session's task would be taken for lost.
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
 * Whether the session of a task that is lost has not said that it is about to end. One that has left in order is not
 * there any more.
 */
const HAS_DIED = sql<boolean>`exists (
  select from sessions s where s.session_id = tasks.lease and s.expires_at <= now() and not s.is_leaving)`;

/** Of each reason at the most, where they are only counted. */
export const OVERDUE_COUNTED_MAX = 1_000;

/** A task that a sweeper was to take, and has not. */
export interface OverdueTask {
  taskId: string;
  attempt: number;
  /** How long it has been overdue; null: its session is gone, and nobody knows since when. */
  overdueMs: number | null;
}

/** Tasks that have been overdue, by what a sweeper goes by, for longer than lateMs: at most OVERDUE_COUNTED_MAX. */
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
