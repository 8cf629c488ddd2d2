import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/** The most unblocked tasks of a key and kind that are read, oldest first, to find a claimable one among them. */
const UNBLOCKED_READ_MAX = 100;

/**
 * Unblocks the oldest task of each kind that waits for a free exclusive key. It is for keys whose release no claim has
 * checked, because the process died after the release, or runs an earlier version without such checks. It reads only
 * keys that blocked tasks wait for. It steps from key to key in the index, so the number of tasks of a key does not
 * matter.
 *
 * @param after the last key of the previous call; null: begins with the first key
 * @param limit the most keys to read
 * @returns the kinds of the unblocked tasks, and the last key that was read, or null if there are no more keys
 */
export async function unblockTasks(
  db: Kysely<Database>,
  { namespace, after, limit }: { namespace: string; after: string | null; limit: number },
): Promise<{ kinds: string[]; lastKey: string | null }> {
  const { rows } = await sql<{ kinds: string[]; lastKey: string | null }>`/* spool_unblock */
with recursive found_key as (
  (select t.exclusive_key from tasks t
   where t.namespace = ${namespace} and ${BLOCKED} and t.exclusive_key > ${after ?? ""}::text
   order by t.exclusive_key limit 1)
  union all
  select (
    select t.exclusive_key from tasks t
    where t.namespace = ${namespace} and ${BLOCKED} and t.exclusive_key > k.exclusive_key
    order by t.exclusive_key limit 1
  )
  from found_key k where k.exclusive_key is not null
),
read_key as materialized (
  select exclusive_key from found_key where exclusive_key is not null limit ${limit}::int
),
line as (
  select k.exclusive_key, (
    select t.kind from tasks t
    where t.namespace = ${namespace} and t.exclusive_key = k.exclusive_key and ${BLOCKED}
    order by t.kind limit 1
  ) as kind
  from read_key k
  where not exists (
    select from task_exclusives x where x.namespace = ${namespace} and x.exclusive_key = k.exclusive_key
  )
  union all
  select l.exclusive_key, (
    select t.kind from tasks t
    where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and ${BLOCKED} and t.kind > l.kind
    order by t.kind limit 1
  )
  from line l where l.kind is not null
),
unblocked as (
  update tasks set blocked = false
  where task_id = any(array(
    select t.task_id from tasks t
    where t.task_id = any(array(
        select h.task_id
        from line l cross join lateral (
          select t.task_id from tasks t
          where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and t.kind = l.kind and ${BLOCKED}
            and ${ON_TIME}
          order by t.task_id limit 1
        ) h
        where l.kind is not null and not exists (
          select from (
            select t.unchecked is null and ${ON_TIME} as is_claimable
            from tasks t
            where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and t.kind = l.kind and ${UNBLOCKED}
            order by t.task_id limit ${UNBLOCKED_READ_MAX}::int
          ) u
          where u.is_claimable
        )
      ))
      and ${BLOCKED}
    for update skip locked
  ))
  returning kind
)
select array(select distinct kind from unblocked order by kind) as kinds,
       (select case when count(*) = ${limit}::int then max(exclusive_key) end from read_key) as "lastKey"`.execute(db);
  return rows[0]!;
}

// Conditions on a task t.
const BLOCKED = sql`t.status = 'pending' and t.blocked`;
const UNBLOCKED = sql`t.status = 'pending' and t.exclusive_key is not null and not t.blocked`;
const ON_TIME = sql`coalesce(t.run_at, t.created_at) <= now() and (t.deadline_at is null or t.deadline_at > now())`;
