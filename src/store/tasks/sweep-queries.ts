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
  const { namespace, reason, graceMs, limit, only } = query;
  const locked =
    reason === "lost" && only === undefined
      ? await lockLostTasks(trx, query)
      : await trx
          .selectFrom("tasks")
          .select("task_id")
          .where("namespace", "=", namespace)
          .where(({ and }) => and(only ?? {}))
          .where(overdue(reason, graceMs))
          .limit(limit)
          .forUpdate()
          .skipLocked()
          .execute();
  if (locked.length === 0) return { tasks: [], at: new Date(0) };
  // The condition is checked again under the lock. For a row that has changed since its first read, Postgres itself
  // only checks the row's columns again, not the sessions. So the task of a live session would count as lost.
  // `coalesce` keeps the plan to the primary key: the index of running tasks may be full of entries of ended tasks.
  const rows = await trx
    .selectFrom("tasks")
    .select([...SUMMARY_COLUMNS, sql<Date>`clock_timestamp()`.as("at"), HAS_DIED.as("hasDied")])
    .where("task_id", "=", sql<string>`any(${sql.val(locked.map((row) => row.task_id))}::uuid[])`)
    .where(sql<boolean>`coalesce(${overdue(reason, graceMs)}, false)`)
    .execute();
  const died = new Set(rows.filter(({ hasDied }) => hasDied).map((row) => row.task_id));
  return { tasks: rows.map(toTask), at: rows[0]?.at ?? new Date(0), died };
}

/**
 * Locks running tasks whose session is gone or expired. It reads the index of running tasks by session, only between
 * the live sessions. So it reads no entry of a live session: neither of its running tasks nor of those that have ended,
 * whose entries stay as long as a transaction holds an old snapshot. The namespace is compared by
 * `is not distinct from`, so that no plan reads all running tasks by the index on the status.
 */
async function lockLostTasks(
  trx: Transaction<Database>,
  { namespace, graceMs, limit }: { namespace: string; graceMs: number; limit: number },
): Promise<{ task_id: string }[]> {
  const { rows } = await sql<{ task_id: string }>`/* spool_lock_lost */
with live as (
  select session_id from sessions where expires_at > now() - ${graceMs}::int * interval '1 millisecond'
),
gap as materialized (
  select coalesce(lag(session_id) over (order by session_id), ${FIRST_ID}::uuid) as above, session_id as below from live
  union all
  select coalesce((select session_id from live order by session_id desc limit 1), ${FIRST_ID}::uuid), ${LAST_ID}::uuid
)
select t.task_id
from gap g cross join lateral (
  select task_id from tasks
  where status = 'running' and lease > g.above and lease < g.below and namespace is not distinct from ${namespace}
  order by lease limit ${limit}::int
  for update skip locked
) t
limit ${limit}::int`.execute(trx);
  return rows;
}

// No session has these ids.
const FIRST_ID = "00000000-0000-0000-0000-000000000000";
const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

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
