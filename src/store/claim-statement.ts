import { sql } from "kysely";
import type { Kysely } from "kysely";
import { CRASHES_DEFAULT } from "../domain/limits.ts";
import type { Task } from "../domain/task.ts";
import type { Database } from "./schema.ts";
import { TASK_COLUMNS, toTask } from "./task-queries.ts";
import type { TaskRow } from "./task-queries.ts";

/**
 * Takes up to `limit` waiting tasks for a session, first those that have been due for longest: since their start, or the
 * time before which they are not to run. Each is running from its next attempt on, with its `started` event, in one
 * commit. What is not due yet is not looked at, however much of it waits. Two sessions never get the same task: the
 * update repeats that it is pending. A task with an exclusive key is taken only with the key; those whose key is held,
 * or whose turn it is not, do not stand in the way of others; nor do those that nobody has looked over yet. Of tasks
 * that are suspected of taking their process down, a session runs one at a time: the next death says which it was.
 *
 * @param suspectedFrom after how many crashes in a row a task is
 *
 * @returns the tasks, and the moment that their attempts began
 */
export async function claimTasks(
  db: Kysely<Database>,
  {
    namespace,
    kinds,
    lease,
    limit,
    suspectedFrom = CRASHES_DEFAULT - 1,
  }: { namespace: string; kinds: readonly string[]; lease: string; limit: number; suspectedFrom?: number },
): Promise<{ tasks: Task[]; at: Date }> {
  const { rows } = await sql<TaskRow & { at: Date }>`/* spool_claim */
with turn as materialized (
  select distinct on (o.exclusive_key) o.task_id
  from tasks o
  where o.namespace = ${namespace} and o.status = 'pending' and o.kind = any(${sql.val(kinds)}::text[])
    and o.exclusive_key is not null and o.unchecked is null
    and (o.run_at is null or o.run_at <= now()) and (o.deadline_at is null or o.deadline_at > now())
    and not exists (
      select from task_exclusives x where x.namespace = o.namespace and x.exclusive_key = o.exclusive_key
    )
  order by o.exclusive_key, o.task_id
),
suspect as materialized (
  select s.task_id
  from tasks s
  where s.namespace = ${namespace} and s.status = 'pending' and s.crashes > 0 and s.crashes >= ${suspectedFrom}::int
    and s.kind = any(${sql.val(kinds)}::text[]) and s.unchecked is null
    and coalesce(s.run_at, s.created_at) <= now() and (s.deadline_at is null or s.deadline_at > now())
    and not exists (
      select from tasks r where r.lease = ${lease}::uuid and r.status = 'running' and r.crashes >= ${suspectedFrom}::int
    )
  order by coalesce(s.run_at, s.created_at), s.task_id
  limit 1
),
candidate as materialized (
  select t.task_id, t.exclusive_key, now() as at,
         least(now() + t.timeout_ms * interval '1 millisecond', t.deadline_at) as attempt_deadline_at
  from tasks t
  where t.namespace = ${namespace} and t.status = 'pending' and t.kind = any(${sql.val(kinds)}::text[])
    and t.unchecked is null
    and coalesce(t.run_at, t.created_at) <= now() and (t.deadline_at is null or t.deadline_at > now())
    and (t.exclusive_key is null or t.task_id in (select task_id from turn))
    and (t.crashes < ${suspectedFrom}::int or t.task_id in (select task_id from suspect))
  order by coalesce(t.run_at, t.created_at), t.task_id
  limit ${limit}::int
  for update skip locked
),
held as (
  insert into task_exclusives (namespace, exclusive_key, task_id)
  select ${namespace}, exclusive_key, task_id from candidate where exclusive_key is not null
  on conflict do nothing
  returning task_id
),
claimed as (
  update tasks t
  set status = 'running', lease = ${lease}::uuid, attempt = t.attempt + 1, appended = 0, last_seq = t.last_seq + 1,
      started_at = case when t.started_at is null then c.at else t.started_at end,
      attempt_deadline_at = c.attempt_deadline_at
  from candidate c
  where t.task_id = c.task_id and t.status = 'pending'
    and (c.exclusive_key is null or c.task_id in (select task_id from held))
  returning ${sql.join(TASK_COLUMNS.map((column) => sql.ref(`t.${column}`)))}
),
recorded as (
  insert into task_events (task_id, seq, time, type, body)
  select task_id, last_seq, now(), 'started', json_build_object('kind', kind, 'attempt', attempt)
  from claimed
)
select *, now() as at from claimed order by task_id`.execute(db);
  return { tasks: rows.map(toTask), at: rows[0]?.at ?? new Date(0) };
}
