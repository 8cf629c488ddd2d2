import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Fence, Task } from "../domain/task.ts";
import type { Database } from "./schema.ts";
import { TASK_COLUMNS, toTask } from "./task-queries.ts";

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

/** A task and the time it is, or undefined where the attempt does not own it any more. */
export async function readOwnedTask(
  db: Kysely<Database>,
  { taskId, lease, attempt }: Fence,
): Promise<{ task: Task; at: Date } | undefined> {
  const row = await db
    .selectFrom("tasks")
    .select([...TASK_COLUMNS, sql<Date>`now()`.as("at")])
    .where("task_id", "=", taskId)
    .where("status", "=", "running")
    .where("lease", "=", lease)
    .where("attempt", "=", attempt)
    .executeTakeFirst();
  return row === undefined ? undefined : { task: toTask(row), at: row.at };
}
