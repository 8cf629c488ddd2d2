import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Fence, Task } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { SUMMARY_COLUMNS, TASK_COLUMNS, toTask } from "./task-columns.ts";
import type { TaskRow } from "./task-columns.ts";
import { readClock } from "./transitions.ts";
import type { LockedTasks } from "./transitions.ts";

/** Finds the running tasks that a session owns, and when each was asked to cancel. */
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

/** A running task that a session owns. */
export type OwnedTaskState = Awaited<ReturnType<typeof findOwnedTasks>>[number];

/**
 * Finds those of some tasks that run and that a session owns, as findOwnedTasks does. It finds them by their ids, so it
 * reads no entries of tasks that have ended: there may be many while a transaction holds an old snapshot. No plan may use
 * the indexes of running tasks: so the lease is compared by `is not distinct from`, and the status is not compared, as
 * only a running task has a lease.
 */
export async function findOwnedAmong(
  db: Kysely<Database>,
  { lease, taskIds }: { lease: string; taskIds: readonly string[] },
): Promise<OwnedTaskState[]> {
  return db
    .selectFrom("tasks")
    .select(["task_id as taskId", "attempt", "cancel_requested_at as cancelRequestedAt"])
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .where("lease", "is not distinct from", lease)
    .execute();
}

/** A running task as it is in the database. */
export interface OwnedTask {
  task: Task;
  /** The time of the read, by the database's clock. */
  at: Date;
  /** How many events the attempt has appended. */
  appended: bigint;
}

/** Reads one of a session's tasks. Returns undefined if the attempt does not own the task any more. */
export async function readOwnedTask(
  db: Kysely<Database>,
  { taskId, lease, attempt }: Fence,
): Promise<OwnedTask | undefined> {
  const row = await selectOwned(db, lease)
    .where("task_id", "=", taskId)
    .where("attempt", "=", attempt)
    .executeTakeFirst();
  return row && toOwnedTask(row);
}

/** Reads all running tasks of a session. */
export async function readOwnedTasks(db: Kysely<Database>, lease: string): Promise<OwnedTask[]> {
  return (await selectOwned(db, lease).execute()).map(toOwnedTask);
}

/**
 * Returns how many events an attempt has appended, if it is the last attempt of a task of one of the kinds; else 0.
 *
 * @param kinds names of kinds
 */
export async function readAppended(
  db: Kysely<Database>,
  {
    namespace,
    taskId,
    attempt,
    kinds,
  }: { namespace: string; taskId: string; attempt: number; kinds: readonly string[] },
): Promise<bigint> {
  const row = await db
    .selectFrom("tasks")
    .select("appended")
    .where("task_id", "=", taskId)
    .where("namespace", "=", namespace)
    .where("attempt", "=", attempt)
    .where("kind", "in", kinds)
    .executeTakeFirst();
  return row?.appended ?? 0n;
}

/** Locks running tasks of a session, up to a limit. Returns them without their params. */
export async function lockOwnedTasks(
  trx: Transaction<Database>,
  { lease, limit }: { lease: string; limit: number },
): Promise<LockedTasks> {
  const rows = await trx
    .selectFrom("tasks")
    .select(SUMMARY_COLUMNS)
    .where("lease", "=", lease)
    .where("status", "=", "running")
    .limit(limit)
    .forUpdate()
    .execute();
  return { tasks: rows.map(toTask), at: await readClock(trx) };
}

function selectOwned(db: Kysely<Database>, lease: string) {
  return db
    .selectFrom("tasks")
    .select([...TASK_COLUMNS, "appended", sql<Date>`now()`.as("at")])
    .where("lease", "=", lease)
    .where("status", "=", "running");
}

function toOwnedTask(row: TaskRow & { at: Date; appended: bigint }): OwnedTask {
  return { task: toTask(row), at: row.at, appended: row.appended };
}
