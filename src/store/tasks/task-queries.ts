import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { VisibleTasks } from "../../domain/principal.ts";
import type { Task, TaskState, TaskStatus } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { missingTask } from "./removed-tasks.ts";
import { SUMMARY_COLUMNS, TASK_COLUMNS, toTask } from "./task-columns.ts";
import { isOfKinds } from "./kind-filter.ts";

/**
 * Reads one task of the namespace.
 *
 * @param only reads the task only if it matches this filter. Otherwise, the statements and their results are the same as
 *   for a task that does not exist, so the time of the answer does not reveal the task
 * @throws TaskNotFound, TaskExpired
 */
export async function readTask(
  db: Kysely<Database>,
  { namespace, taskId, only }: { namespace: string; taskId: string; only?: VisibleTasks | undefined },
): Promise<Task> {
  let query = db
    .selectFrom("tasks")
    .select(TASK_COLUMNS)
    .where("task_id", "=", taskId)
    .where("namespace", "=", namespace);
  if (only !== undefined) query = query.where(isOfKinds(only.kinds)).where(hasLabels(only.labels));
  const row = await query.executeTakeFirst();
  if (row === undefined) throw await missingTask(db, { namespace, taskId });
  return toTask(row);
}

/** Reads tasks of the namespace. Ids that are not found are left out. */
export async function readTasks(
  db: Kysely<Database>,
  { namespace, taskIds }: { namespace: string; taskIds: readonly string[] },
): Promise<Task[]> {
  const rows = await db
    .selectFrom("tasks")
    .select(TASK_COLUMNS)
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .where("namespace", "=", namespace)
    .execute();
  return rows.map(toTask);
}

/** Reads the state and the owner of several tasks. Ids that do not exist are left out. */
export async function readTaskStates(
  db: Kysely<Database>,
  taskIds: readonly string[],
): Promise<
  { taskId: string; status: TaskStatus; lease: string | null; attempt: number; lastSeq: bigint; appended: bigint }[]
> {
  return db
    .selectFrom("tasks")
    .select(["task_id as taskId", "status", "lease", "attempt", "last_seq as lastSeq", "appended"])
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .execute();
}

/** Reads the status and the last seq of tasks of the namespace. Ids that are not found are left out. */
export async function readStates(
  db: Kysely<Database>,
  { namespace, taskIds }: { namespace: string; taskIds: readonly string[] },
): Promise<TaskState[]> {
  const { rows } = await sql<TaskState>`/* spool_states */
select task_id as "taskId", status, last_seq as "lastSeq" from tasks
where task_id = any(${taskIds}::uuid[]) and namespace = ${namespace}`.execute(db);
  return rows;
}

/** Reads the task that a request_id started, with the digest of all that the start asked for. Undefined: none. */
export async function readTaskByRequest(
  db: Kysely<Database>,
  { namespace, requestId }: { namespace: string; requestId: string },
): Promise<(Task & { requestDigest: string | null }) | undefined> {
  const row = await db
    .selectFrom("task_requests")
    .innerJoin("tasks", "tasks.task_id", "task_requests.task_id")
    .select([...TASK_COLUMNS, "request_digest" as const].map((column) => `tasks.${column}` as const))
    .where("task_requests.namespace", "=", namespace)
    .where("task_requests.request_id", "=", requestId)
    .executeTakeFirst();
  return row === undefined ? undefined : { ...toTask(row), requestDigest: row.request_digest };
}

export interface TaskFilter {
  limit: number;
  /** Only tasks older than this task; null: from the newest. */
  beforeTaskId: string | null;
  statuses: readonly TaskStatus[];
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** Only tasks whose id begins with this text, in lower case; empty or left out: all. */
  taskIdPrefix?: string;
}

const FIRST_TASK_ID = "00000000-0000-0000-0000-000000000000";
const LAST_TASK_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** Lists tasks of the namespace, newest first, without their params. */
export async function listTasks(db: Kysely<Database>, namespace: string, filter: TaskFilter): Promise<Task[]> {
  let query = db
    .selectFrom("tasks")
    .select(SUMMARY_COLUMNS)
    .where("namespace", "=", namespace)
    .orderBy("task_id", "desc")
    .limit(filter.limit);
  const { taskIdPrefix: prefix = "" } = filter;
  if (prefix !== "") {
    // A range of the index, which orders ids like their text.
    query = query
      .where("task_id", ">=", prefix + FIRST_TASK_ID.slice(prefix.length))
      .where("task_id", "<=", prefix + LAST_TASK_ID.slice(prefix.length));
  }
  if (filter.beforeTaskId !== null) query = query.where("task_id", "<", filter.beforeTaskId);
  if (filter.statuses.length > 0) query = query.where("status", "in", filter.statuses);
  if (filter.kinds.length > 0) query = query.where(isOfKinds(filter.kinds));
  if (Object.keys(filter.labels).length > 0) {
    query = query.where(hasLabels(filter.labels));
  }
  return (await query.execute()).map(toTask);
}

function hasLabels(labels: Readonly<Record<string, string>>): RawBuilder<boolean> {
  return sql<boolean>`labels @> ${JSON.stringify(labels)}::jsonb`;
}
