import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { JsonObject } from "../../domain/json.ts";
import { DEFAULT_RETRY_POLICY } from "../../domain/retry.ts";
import type { AskedRetry, RetryPolicy } from "../../domain/retry.ts";
import type { Database } from "../schema.ts";

/** A task that was stored without its kind at hand. It cannot be claimed until a process with the kind validates it. */
export interface UnvalidatedTask {
  taskId: string;
  kind: string;
  params: JsonObject;
  asked: AskedRetry;
}

/** Finds the unvalidated tasks of some kinds, the oldest first. */
export async function findUnvalidated(
  db: Kysely<Database>,
  { namespace, kinds, limit }: { namespace: string; kinds: readonly string[]; limit: number },
): Promise<UnvalidatedTask[]> {
  const rows = await db
    .selectFrom("tasks")
    .select(["task_id as taskId", "kind", "params", "unchecked"])
    .where("namespace", "=", namespace)
    .where("status", "=", "pending")
    .where("kind", "=", sql<string>`any(${sql.val(kinds)}::text[])`)
    .where("unchecked", "is not", null)
    .orderBy("task_id")
    .limit(limit)
    .execute();
  return rows.map(({ unchecked, ...task }) => ({ ...task, asked: unchecked! }));
}

/**
 * Stores the values of the task's kind, and lets the task be claimed. A second call changes nothing. If the exclusive
 * key of the task is held, the task becomes blocked. So after the commit, the caller must have a claim check the key.
 */
export async function releaseValidated(
  db: Kysely<Database>,
  task: { taskId: string; exclusiveKey: string | null; maxAttempts: number; retryPolicy: Readonly<RetryPolicy> },
): Promise<void> {
  const { retryPolicy } = task;
  await db
    .updateTable("tasks")
    .set({
      unchecked: null,
      exclusive_key: task.exclusiveKey,
      blocked: sql<boolean>`coalesce(run_at <= now(), true) and exists (
        select from task_exclusives x
        where x.namespace = tasks.namespace and x.exclusive_key = ${task.exclusiveKey}::text
      )`,
      max_attempts: task.maxAttempts,
      retry_policy: retryPolicy === DEFAULT_RETRY_POLICY ? null : JSON.stringify(retryPolicy),
    })
    .where("task_id", "=", task.taskId)
    .where("status", "=", "pending")
    .where("unchecked", "is not", null)
    .execute();
}
