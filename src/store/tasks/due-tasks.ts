import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { RetainedKinds } from "../../domain/retention.ts";
import type { Database } from "../schema.ts";
import { LATE_COMMIT_MS, microseconds, milliseconds, removal, retentionAfter } from "./due-removals.ts";
import type { EndedPlace, RemovalBounds, RemovedTaskRef } from "./due-removals.ts";

// Finds due tasks without removing them, and removes tasks that were found before: between the two, they are exported.

/** An ended task whose retention has passed. */
export interface DueTask {
  taskId: string;
  /** The length of the tape. */
  lastSeq: bigint;
  /** How long the task was to be kept. */
  retentionMs: number;
  /** How long ago its retention has passed. */
  overdueMs: number;
}

interface Row {
  taskId: string | null;
  lastSeq: bigint;
  overdueMs: number;
}

interface ScanRow extends Row {
  nextUs: bigint | null;
  nextId: string;
  settledUs: bigint | null;
  settledId: string;
  isFull: boolean;
}

/**
 * Finds tasks of some kinds whose retention has passed and that have none of their own. Reads up to `rows` ended tasks in
 * the order of their ends, from a place on.
 *
 * @returns `next`: where the scan continues; null: it has read all due tasks. `settled`: the same for later scans; an
 *   end before this place can not be committed any more; null: none of the read places is one
 */
export async function findDueTasks(
  db: Kysely<Database>,
  query: { namespace: string; retained: RetainedKinds; from: EndedPlace; rows: number },
): Promise<{ due: DueTask[]; next: EndedPlace | null; settled: EndedPlace | null }> {
  const { namespace, retained, from } = query;
  const { retentionMs, isOnly, kinds } = retained;
  const kept = sql`${retentionMs}::float8 * interval '1 millisecond'`;
  const fromTime = sql`(timestamptz 'epoch' + ${from.finishedAtUs}::bigint * interval '1 microsecond')`;
  const { rows } = await sql<ScanRow>`/* spool_find_due */
with scanned as materialized (
  select task_id, finished_at, kind, retention_ms, last_seq from tasks
  where namespace = ${namespace} and finished_at is not null and finished_at <= now() - ${kept}
    and finished_at >= ${fromTime} and (finished_at, task_id) > (${fromTime}, ${from.taskId}::uuid)
  order by finished_at, task_id limit ${query.rows}::int
),
next as (
  select ${microseconds("finished_at")} as "nextUs", task_id as "nextId" from scanned
  order by finished_at desc, task_id desc limit 1
),
settled as (
  select ${microseconds("finished_at")} as "settledUs", task_id as "settledId" from scanned
  where finished_at <= now() - ${LATE_COMMIT_MS}::int * interval '1 millisecond'
  order by finished_at desc, task_id desc limit 1
),
due as (
  select task_id as "taskId", last_seq as "lastSeq", finished_at,
         ${milliseconds("now() - finished_at")} - ${retentionMs}::float8 as "overdueMs"
  from scanned where retention_ms is null and (kind = any(${kinds}::text[])) = ${isOnly}::boolean
)
select n.*, s.*, d.*, (select count(*) from scanned) = ${query.rows}::int as "isFull"
from (select) one left join next n on true left join settled s on true left join due d on true
order by d.finished_at, d."taskId"`.execute(db);
  const { isFull, nextUs, nextId, settledUs, settledId } = rows[0]!;
  return {
    due: rows.flatMap((row) => toDue(row, retentionMs)),
    next: isFull && nextUs !== null ? { finishedAtUs: nextUs, taskId: nextId } : null,
    settled: settledUs === null ? null : { finishedAtUs: settledUs, taskId: settledId },
  };
}

/**
 * Finds up to `rows` tasks whose own retention has passed, the shortest retentions first. Reads up to `retentions`
 * distinct retentions after another one.
 *
 * @returns `after`: the retention after which the scan continues; null: it has read all
 */
export async function findDueRetained(
  db: Kysely<Database>,
  query: { namespace: string; after: number; retentions: number; rows: number },
): Promise<{ due: DueTask[]; after: number | null }> {
  const { namespace, after, retentions } = query;
  const { rows: first } = await retentionAfter(namespace, sql`${after}::bigint`).execute(db);
  if (first.length === 0) return { due: [], after: null };
  const { rows } = await sql<Row & { retentionMs: number; lastMs: number | null }>`/* spool_find_retained */
with recursive retention (ms, number) as (
  select (${retentionAfter(namespace, sql`${after}::bigint`)}), 1
  union all
  select (${retentionAfter(namespace, sql`r.ms`)}), number + 1
  from retention r where r.ms is not null and number < ${retentions}::int
),
due as (
  select d.task_id as "taskId", d.last_seq as "lastSeq", r.ms::float8 as "retentionMs",
         ${milliseconds("now() - d.finished_at")} - r.ms::float8 as "overdueMs"
  from (select ms from retention where ms is not null order by number) r
  cross join lateral (
    select task_id, finished_at, last_seq from tasks
    where namespace = ${namespace} and retention_ms = r.ms
      and finished_at is not null and finished_at <= now() - r.ms * interval '1 millisecond'
    order by finished_at limit ${query.rows}::int
  ) d
  limit ${query.rows}::int
)
select d.*, (select ms::float8 from retention where number = ${retentions}::int) as "lastMs"
from (select) one left join due d on true`.execute(db);
  return {
    due: rows.flatMap((row) => toDue(row, row.retentionMs)),
    after: rows[0]!.lastMs,
  };
}

/**
 * Removes tasks that were found before. Leaves out tasks that are not due, have another tape now, or are locked.
 *
 * @param due at most `bounds.tasks`
 * @returns the removed ones: at least one of those that can be removed, and as many as the bounds allow
 */
export async function removeFound(
  db: Kysely<Database>,
  { namespace, due, bounds }: { namespace: string; due: readonly DueTask[]; bounds: RemovalBounds },
): Promise<RemovedTaskRef[]> {
  const { rows } = await sql<RemovedTaskRef>`/* spool_remove_found */
with candidates as materialized (
  select t.task_id, t.last_seq, t.packed_seq, f.place::int as place
  from unnest(
    ${due.map(({ taskId }) => taskId)}::uuid[], ${due.map(({ lastSeq }) => lastSeq)}::bigint[],
    ${due.map(({ retentionMs }) => retentionMs)}::float8[]
  ) with ordinality as f (task_id, last_seq, ms, place)
  cross join lateral (
    select * from tasks t
    where t.task_id = f.task_id and t.namespace = ${namespace} and t.last_seq = f.last_seq
      and t.finished_at is not null and t.finished_at <= now() - f.ms * interval '1 millisecond'
      and (t.retention_ms is null or t.retention_ms = f.ms)
  ) t
),
${removal(namespace, bounds)}
select * from removed_list`.execute(db);
  return rows;
}

function toDue({ taskId, lastSeq, overdueMs }: Row, retentionMs: number): DueTask[] {
  return taskId === null ? [] : [{ taskId, lastSeq, retentionMs, overdueMs }];
}
