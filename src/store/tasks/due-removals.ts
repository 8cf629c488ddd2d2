import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { Overdue, RetainedKinds } from "../../domain/retention.ts";
import { PACK_EVENTS_MAX } from "../../domain/limits.ts";
import type { Database } from "../schema.ts";
import { storeHooks } from "./removal-hooks.ts";
import { EVENTS_A_PACK } from "./removed-tasks.ts";

// Removes ended tasks whose retention has passed, a bounded batch in one statement. All times are of the database's
// clock. The statement locks the rows of tasks first, and skips rows that another transaction has locked. All other rows
// that it writes belong to a task whose row it has locked. So it waits for no lock, takes part in no deadlock with
// DeleteTask, and any number of servers remove different tasks.

/** The bounds of a batch. */
export interface RemovalBounds {
  /** The most rows that are read to find due tasks. */
  rows: number;
  /** The most tasks that are removed. */
  tasks: number;
  /** The most events that are deleted. At least TAPE_EVENTS_MAX. */
  events: number;
}

/** The longest tape whose events are deleted with the task. The events of a longer tape are left to the removal sweeper. */
export const TAPE_EVENTS_MAX = 1_000;
/** The same for the packed part of a tape. */
export const TAPE_PACKED_MAX = 5 * PACK_EVENTS_MAX;
/** The text of a pack takes a row of storage for about so many bytes, before it is compressed. */
const BYTES_A_ROW = 2_000;

/**
 * How old a settled place is, at least. A task is visible only some time after its `finished_at`, which is when its
 * transaction began.
 */
export const LATE_COMMIT_MS = 60_000;

/** The place of an ended task in the order of `finished_at` and the id. */
export interface EndedPlace {
  /** In µs since 1970: a Date would lose the digits after the milliseconds. */
  finishedAtUs: bigint;
  taskId: string;
}

export const FIRST_ENDED: EndedPlace = { finishedAtUs: 0n, taskId: "00000000-0000-0000-0000-000000000000" };

/** A removed task. */
export interface RemovedTaskRef {
  taskId: string;
  kind: string;
}

/** What one statement has removed. */
export interface DueRemovals {
  removed: RemovedTaskRef[];
  /** Whether more due tasks may be left that this process can remove now. */
  hasMore: boolean;
  /** The oldest due task that is known to be left; null: none is. */
  overdue: Overdue | null;
}

interface Row {
  taskId: string | null;
  kind: string | null;
  overdueMs: number | null;
  retentionMs: number | null;
  /** Whether the statement has read as many rows as it may. */
  isFull: boolean;
}

interface ScanRow extends Row {
  nextUs: bigint | null;
  nextId: string | null;
  settledUs: bigint | null;
  settledId: string | null;
}

/**
 * Removes tasks of some kinds whose retention has passed and that have none of their own, the ones that ended first.
 * Scans all ended tasks in the order of their ends, from a place on. So tasks that are kept longer need not be read at
 * every sweep.
 *
 * @returns `next`: where the scan continues. Before it, nothing is left to remove. `settled`: the same for later scans;
 *   an end before this place can not be committed any more
 */
export async function removeDueTasks(
  db: Kysely<Database>,
  query: { namespace: string; retained: RetainedKinds; from: EndedPlace; bounds: RemovalBounds },
): Promise<DueRemovals & { next: EndedPlace; settled: EndedPlace | null }> {
  const { namespace, retained, from, bounds } = query;
  const { retentionMs, isOnly, kinds } = retained;
  const kept = sql`${retentionMs}::float8 * interval '1 millisecond'`;
  const fromTime = sql`(timestamptz 'epoch' + ${from.finishedAtUs}::bigint * interval '1 microsecond')`;
  const { rows } = await sql<ScanRow>`/* spool_remove_due */
with scanned as materialized (
  select s.*, row_number() over (order by finished_at, task_id)::int as place, now() - finished_at - ${kept} as overdue
  from (
    select task_id, finished_at, kind, retention_ms, last_seq, packed_seq from tasks
    where namespace = ${namespace} and finished_at is not null and finished_at <= now() - ${kept}
      and finished_at >= ${fromTime} and (finished_at, task_id) > (${fromTime}, ${from.taskId}::uuid)
    order by finished_at, task_id limit ${bounds.rows}::int
  ) s
),
candidates as materialized (
  select task_id, last_seq, packed_seq, place, overdue from scanned
  where retention_ms is null and (kind = any(${kinds}::text[])) = ${isOnly}::boolean
),
${removal(namespace, bounds)},
reached as materialized (
  select finished_at, task_id from scanned
  where place < (select coalesce(min(place), 2147483647) from remaining)
),
next as (
  select ${microseconds("finished_at")} as "nextUs", task_id as "nextId" from reached
  order by finished_at desc, task_id desc limit 1
),
settled as (
  select ${microseconds("finished_at")} as "settledUs", task_id as "settledId" from reached
  where finished_at <= now() - ${LATE_COMMIT_MS}::int * interval '1 millisecond'
  order by finished_at desc, task_id desc limit 1
)
select n.*, s.*, r.*, ${retentionMs}::float8 as "retentionMs",
       (select count(*) from scanned) = ${bounds.rows}::int as "isFull",
       (select ${milliseconds("max(overdue)")} from remaining) as "overdueMs"
from (select) one left join next n on true left join settled s on true left join removed_list r on true`.execute(db);
  const { nextUs, nextId, settledUs, settledId } = rows[0]!;
  return {
    ...toRemovals(rows, rows[0]!.isFull && nextUs !== null),
    next: nextUs === null ? from : { finishedAtUs: nextUs, taskId: nextId! },
    settled: settledUs === null ? null : { finishedAtUs: settledUs, taskId: settledId! },
  };
}

/**
 * Removes tasks whose own retention has passed. Reads up to `retentions` distinct retentions, in their order, by a loose
 * scan of the index.
 *
 * @param query.after the retention after which the scan begins; null: the first
 * @returns `after`: where the next scan begins
 */
export async function removeDueRetained(
  db: Kysely<Database>,
  query: { namespace: string; after: number | null; retentions: number; bounds: RemovalBounds },
): Promise<DueRemovals & { after: number | null }> {
  const { namespace, after, retentions, bounds } = query;
  // Most often there is nothing to do, and planning the statement takes longer than this query.
  const { rows: first } = await retentionAfter(namespace, sql`${after ?? 0}::bigint`).execute(db);
  if (first.length === 0) return { removed: [], hasMore: false, overdue: null, after: null };
  const { rows } = await sql<Row & { lastMs: number | null }>`/* spool_remove_retained */
with recursive retention (ms, number) as (
  select (${retentionAfter(namespace, sql`${after ?? 0}::bigint`)}), 1
  union all
  select (${retentionAfter(namespace, sql`r.ms`)}), number + 1
  from retention r where r.ms is not null and number < ${retentions}::int
),
scanned as materialized (
  select d.*, r.ms, row_number() over (order by r.ms, d.finished_at)::int as place,
         now() - d.finished_at - r.ms * interval '1 millisecond' as overdue
  from (select ms from retention where ms is not null order by number) r
  cross join lateral (
    select task_id, finished_at, last_seq, packed_seq from tasks
    where namespace = ${namespace} and retention_ms = r.ms
      and finished_at is not null and finished_at <= now() - r.ms * interval '1 millisecond'
    order by finished_at limit ${bounds.rows}::int
  ) d
  limit ${bounds.rows}::int
),
candidates as materialized (
  select task_id, last_seq, packed_seq, place, overdue, ms from scanned
),
${removal(namespace, bounds)},
oldest as (
  select ${milliseconds("overdue")} as "overdueMs", ms::float8 as "retentionMs" from remaining
  order by overdue desc limit 1
)
select o.*, r.*, (select count(*) from scanned) = ${bounds.rows}::int as "isFull",
       (select ms::float8 from retention where number = ${retentions}::int) as "lastMs"
from (select) one left join oldest o on true left join removed_list r on true`.execute(db);
  const { isFull, lastMs, overdueMs, taskId } = rows[0]!;
  const isRead = !isFull && (overdueMs === null || taskId === null);
  return { ...toRemovals(rows, isRead && lastMs !== null), after: isRead ? lastMs : after };
}

/**
 * Returns the CTEs that remove tasks, from a CTE `candidates` of due tasks in the order of `place`: `removed_list`, and
 * `remaining` with the candidates that are left. The number of rows to lock follows from the mean length of the tapes,
 * because a lock is a write, too. Sets of ids are passed as arrays: with them, every plan reads tables by their keys.
 *
 * The lock requires that the tape was not packed since the statement began: the statement would not see the new packs,
 * and leave them behind.
 */
export function removal(namespace: string, { tasks, events }: RemovalBounds): RawBuilder<unknown> {
  const isSmall = sql`(last_seq - packed_seq <= ${TAPE_EVENTS_MAX}::int and packed_seq <= ${TAPE_PACKED_MAX}::int)`;
  const packs = sql`(packed_seq + ${PACK_EVENTS_MAX - 1}::int) / ${PACK_EVENTS_MAX}::int`;
  const deleted = sql`case when ${isSmall} then last_seq - packed_seq + ${packs} * ${EVENTS_A_PACK}::int else 0 end`;
  // What the packs of a locked task really take: large events make many packs.
  const rowsOfPacks = sql`(
    select coalesce(sum(${EVENTS_A_PACK}::int + p.bytes / ${BYTES_A_ROW}::int), 0) from packed_events p
    where c.packed_seq > 0 and p.task_id = c.task_id
  )`;
  return sql`locked as materialized (
  select c.task_id, c.place,
         case when ${isSmall} then c.last_seq - c.packed_seq + ${rowsOfPacks} else 0 end as events
  from (select * from candidates order by place) c
  cross join lateral (
    select from tasks t
    where t.task_id = c.task_id and t.finished_at is not null and t.packed_seq = c.packed_seq
    for update skip locked
  ) t
  limit (select greatest(1, least(${tasks}::bigint, ${events}::bigint * count(*) / greatest(1, sum(${deleted}))))
         from candidates)
),
taken as materialized (
  select task_id from (
    select task_id, events, sum(events) over (order by place) as total, row_number() over (order by place) as number
    from locked
  ) l
  where total <= ${events}::int or number = 1
),
removed as (
  delete from tasks where task_id = any(array(select task_id from taken)) and finished_at is not null
  returning task_id, kind, request_id, packed_seq, params, labels, ${isSmall} as is_small
),
${storeHooks(namespace)},
freed as (
  delete from task_requests
  where namespace = ${namespace}
    and request_id = any(array(select request_id from removed where request_id is not null))
    and task_id = any(array(select task_id from removed))
),
deleted as (
  delete from task_events
  where task_id = any(array(select task_id from removed where is_small))
),
deleted_packs as (
  delete from packed_events
  where task_id = any(array(select task_id from removed where is_small and packed_seq > 0))
),
marked as (
  insert into removed_tasks (task_id, namespace, events_left)
  select task_id, ${namespace}, not is_small from removed
  on conflict (task_id) do update set removed_at = excluded.removed_at, events_left = excluded.events_left
),
removed_list as (
  select task_id as "taskId", kind from removed
),
remaining as materialized (
  select * from candidates where task_id not in (select task_id from removed)
)`;
}

/** Returns the query for the smallest retention of an ended task above another one. Its value is null: there is none. */
export function retentionAfter(
  namespace: string | RawBuilder<string>,
  after: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`select t.retention_ms from tasks t
    where t.namespace = ${namespace} and t.retention_ms is not null and t.finished_at is not null
      and t.retention_ms > ${after}
    order by t.retention_ms limit 1`;
}

/** @param continues whether there is more to read after what the statement has read */
function toRemovals(rows: readonly Row[], continues: boolean): DueRemovals {
  const removed = rows.flatMap(({ taskId, kind }) => (taskId === null ? [] : [{ taskId, kind: kind! }]));
  const { isFull, overdueMs, retentionMs } = rows[0]!;
  const isLeft = isFull || overdueMs !== null;
  return {
    removed,
    // If nothing was removed, other servers have locked the tasks that are left.
    hasMore: continues || (isLeft && removed.length > 0),
    overdue: overdueMs === null ? null : { overdueMs, retentionMs: retentionMs! },
  };
}

/** Returns a time in µs since 1970. */
export function microseconds(column: string): RawBuilder<unknown> {
  return sql`(extract(epoch from ${sql.raw(column)}) * 1000000)::bigint`;
}

/** Returns an interval in ms. */
export function milliseconds(value: string): RawBuilder<unknown> {
  return sql`(extract(epoch from ${sql.raw(value)}) * 1000)::float8`;
}
