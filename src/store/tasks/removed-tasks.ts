import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { TaskExpired, TaskNotFound } from "../../domain/errors.ts";
import type { SpoolError } from "../../domain/errors.ts";
import { REMOVED_MS } from "../../domain/limits.ts";
import type { Task } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { storeHooks } from "./removal-hooks.ts";

// A removed task leaves a marker. Its events are deleted later, in batches. No statement may read events without the
// row of their task, so the events are invisible as soon as the row is gone.

interface TaskRef {
  namespace: string;
  taskId: string;
}

/**
 * Removes an ended task that this transaction has locked: its row and its request_id. Leaves a marker. The events stay
 * until deleteRemovedEvents.
 */
export async function removeTask(trx: Transaction<Database>, namespace: string, task: Task): Promise<void> {
  const { taskId, requestId } = task;
  await sql`/* spool_remove */
with removed as (
  delete from tasks where task_id = ${taskId}::uuid and finished_at is not null returning task_id, last_seq, kind, params, labels
),
${storeHooks(namespace)},
freed as (
  delete from task_requests
  where namespace = ${namespace} and request_id = ${requestId}::text and task_id in (select task_id from removed)
)
insert into removed_tasks (task_id, namespace, events_left)
select task_id, ${namespace}, last_seq > 0 from removed
on conflict (task_id) do update set removed_at = excluded.removed_at, events_left = excluded.events_left`.execute(trx);
}

/** Returns the error for a task without a row: it was removed, or it never existed. */
export async function missingTask(db: Kysely<Database>, { namespace, taskId }: TaskRef): Promise<SpoolError> {
  const marker = await db
    .selectFrom("removed_tasks")
    .select("removed_at")
    .where("task_id", "=", taskId)
    .where("namespace", "=", namespace)
    .executeTakeFirst();
  return marker === undefined ? new TaskNotFound(taskId) : new TaskExpired(taskId, marker.removed_at);
}

/** Returns the ids among these whose tasks were removed. */
export async function findRemoved(db: Kysely<Database>, taskIds: readonly string[]): Promise<Set<string>> {
  const rows = await db
    .selectFrom("removed_tasks")
    .select("task_id")
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .execute();
  return new Set(rows.map((row) => row.task_id));
}

/** The condition for a removed task to have events left, and for its marker to be of no more use. */
export const EVENTS_LEFT = sql<boolean>`events_left`;
export const EXPIRED_MARKER = sql<boolean>`not events_left and removed_at < now() - ${REMOVED_MS}::bigint * interval '1 millisecond'`;

/** A pack takes about as many rows of storage as this many events, with the parts of its bodies. */
export const EVENTS_A_PACK = 25;

/**
 * Deletes up to `limit` events of one removed task of the namespace, the first ones, in one short transaction. A pack
 * counts as EVENTS_A_PACK events. Leaves out tasks whose events another process is deleting. The lock on the marker
 * keeps any two processes from the events of the same task. Events of a task that has a row stay.
 *
 * @returns how many events and packs were deleted; null: no task has events left
 */
export async function deleteRemovedEvents(
  db: Kysely<Database>,
  { namespace, limit }: { namespace: string; limit: number },
): Promise<number | null> {
  const left = db
    .selectFrom("removed_tasks")
    .select("task_id")
    .where("namespace", "=", namespace)
    .where(EVENTS_LEFT)
    .orderBy("removed_at")
    .limit(1);
  // Most often there is nothing to do, which needs no transaction.
  if ((await left.executeTakeFirst()) === undefined) return null;
  return db.transaction().execute(async (trx) => {
    const marker = await trx
      .selectFrom(left.forUpdate().skipLocked().as("marker"))
      .select("task_id")
      .executeTakeFirst();
    if (marker === undefined) return null;
    const packsMax = Math.ceil(limit / EVENTS_A_PACK);
    const { rows } = await sql<{ events: number; packs: number }>`/* spool_remove_events */
with removed as (
  select ${marker.task_id}::uuid as task_id
  where not exists (select from tasks where task_id = ${marker.task_id}::uuid)
),
old_packs as (
  select p.task_id, p.first_seq from removed r join packed_events p using (task_id)
  order by p.first_seq limit ${packsMax}::int
),
deleted_packs as (
  delete from packed_events p using old_packs o
  where p.task_id = o.task_id and p.first_seq = o.first_seq
  returning 1
),
deleted as (
  delete from task_events e using removed r
  where e.task_id = r.task_id
    and e.seq < (select min(seq) from task_events where task_id = ${marker.task_id}::uuid) + ${limit}::int
  returning 1
)
select (select count(*) from deleted)::int as events, (select count(*) from deleted_packs)::int as packs`.execute(trx);
    const { events, packs } = rows[0]!;
    if (events < limit && packs < packsMax) {
      await trx
        .updateTable("removed_tasks")
        .set({ events_left: false })
        .where("task_id", "=", marker.task_id)
        .execute();
    }
    return events + packs;
  });
}

/**
 * Deletes up to `limit` markers of the namespace that are older than REMOVED_MS, oldest first. A marker whose task has
 * events left stays.
 *
 * @returns how many were deleted
 */
export async function deleteExpiredMarkers(
  db: Kysely<Database>,
  { namespace, limit }: { namespace: string; limit: number },
): Promise<number> {
  const { rows } = await sql<{ count: number }>`/* spool_expire_markers */
with expired as (
  select task_id from removed_tasks
  where namespace = ${namespace} and ${EXPIRED_MARKER}
  order by removed_at limit ${limit}::int
  for update skip locked
),
deleted as (
  delete from removed_tasks where task_id in (select task_id from expired) returning 1
)
select count(*)::int as count from deleted`.execute(db);
  return rows[0]!.count;
}
