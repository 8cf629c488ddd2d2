import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { CRASHES_DEFAULT } from "../../domain/limits.ts";
import type { Task } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { TASK_LIST, toTask } from "./task-columns.ts";
import type { TaskRow } from "./task-columns.ts";

/** How many tasks of a key and kind are read, by their age, for the oldest one that is due. */
const DUE_READ_MAX = 100;

export interface Claim {
  namespace: string;
  /** What the session runs. The first ones are served first where not all can be. */
  kinds: readonly string[];
  /** The session that is to own the tasks. */
  lease: string;
  /** How many tasks are taken at the most; 0: only keys are checked. */
  limit: number;
  /** How many tasks with exclusive keys are read of each kind; left out: as many as may be taken, and one more. */
  window?: number;
  /** After how many crashes in a row a task is suspected of taking its process down. */
  suspectedFrom?: number;
  /** Exclusive keys that may have become free: of each that is, the next task is taken, or unblocked for others. */
  keys?: readonly string[];
}

export interface Claimed {
  tasks: Task[];
  /** When their attempts began. */
  at: Date;
  /** Whether more may be there to be taken at once. */
  hasMore: boolean;
  /** Keys whose tasks were blocked. They may have been released meanwhile: the caller has the next claim check them. */
  blockedKeys: string[];
}

/**
 * Takes up to `limit` waiting tasks for a session: in turn from each of the kinds, and of a kind those first that have
 * been due for longest, since their start or the time before which they are not to run. Each is running from its next
 * attempt on, with its `started` event, in one commit. Two sessions never get the same task: rows that another
 * transaction has locked are left out, and the update repeats that the task is pending.
 *
 * Of tasks that are suspected of taking their process down, a session runs one at a time: the next death says which it
 * was. There are few of them.
 *
 * Of tasks with one exclusive key only the oldest is taken, and only with the key. Those that the claim reads though
 * their key is held become `blocked`, and no claim reads them any more: what a claim costs depends on the limit and the
 * number of kinds, not on what waits. docs/adr/0019 says why no task stays blocked when its key is free.
 *
 * Lists of ids are arrays, from which every plan goes to the rows by the primary key: what a limit is by a column, or
 * what a statement before has written, a planner takes for a share of the table, and reads all of it.
 *
 * In the statement: `suspect` is the one suspected task that may be taken. `unblocked_tasks` are tasks with keys that are
 * not blocked. `line` is a key and a kind of which tasks wait, `head` the oldest task of each line whose key is free, and
 * `turn` the oldest head of each key.
 */
export async function claimTasks(db: Kysely<Database>, claim: Claim): Promise<Claimed> {
  const { rows } = await (db.isTransaction
    ? planOnce(true)
        .execute(db)
        .then(() => claimStatement(claim).execute(db))
    : db.connection().execute((connection) => claimOn(connection, claim)));
  const { at, hasMore, blockedKeys } = rows[0]!;
  const isTask = (row: ClaimRow): row is ClaimRow & TaskRow => typeof row.task_id === "string";
  return { tasks: rows.filter(isTask).map(toTask), at, hasMore, blockedKeys };
}

/** The claim commits by itself: a process that stands still between two statements holds no row and no key. */
async function claimOn(connection: Kysely<Database>, claim: Claim) {
  await planOnce(false).execute(connection);
  try {
    return await claimStatement(claim).execute(connection);
  } finally {
    await PLAN_AS_EVER.execute(connection);
  }
}

/**
 * Has a connection plan its claims once. For a limit that is a parameter a planner expects a tenth of the table, so that
 * it never takes to its general plan, and plans each claim anew: that takes as long as the claim. And of a table that
 * was small when it was planned, it would read all.
 *
 * @param isLocal whether that is for the transaction alone
 */
export const planOnce = (isLocal: boolean) => sql`/* spool_plan_once */
select set_config('plan_cache_mode', 'force_generic_plan', ${isLocal}), set_config('enable_seqscan', 'off', ${isLocal})`;

const PLAN_AS_EVER = sql`/* spool_plan_as_ever */
select set_config('plan_cache_mode', null, false), set_config('enable_seqscan', null, false)`;

type ClaimRow = Partial<TaskRow> & { at: Date; hasMore: boolean; blockedKeys: string[] };

/** A row for each task, or one without a task. */
export function claimStatement(claim: Claim): RawBuilder<ClaimRow> {
  const { namespace, kinds, lease, limit, window = limit + 1, keys = [] } = claim;
  const { suspectedFrom = CRASHES_DEFAULT - 1 } = claim;
  const trusted = sql`(t.crashes < ${suspectedFrom}::int or t.task_id in (select task_id from suspect))`;
  return sql<ClaimRow>`/* spool_claim */
with recursive kinds as materialized (
  select k.kind, k.place::int as place from unnest(${sql.val(kinds)}::text[]) with ordinality as k (kind, place)
),
suspect as materialized (
  select t.task_id
  from tasks t
  where t.namespace = ${namespace} and t.status = 'pending' and t.crashes > 0 and t.crashes >= ${suspectedFrom}::int
    and t.kind = any(${sql.val(kinds)}::text[]) and t.unchecked is null and ${ON_TIME}
    and not exists (
      select from tasks r where r.lease = ${lease}::uuid and r.status = 'running' and r.crashes >= ${suspectedFrom}::int
    )
  order by ${DUE}, t.task_id
  limit 1
),
unblocked_tasks as materialized (
  select k.kind, s.*
  from kinds k cross join lateral (
    select t.task_id, t.exclusive_key, ${DUE} as due
    from tasks t
    where t.namespace = ${namespace} and t.kind = k.kind and ${UNBLOCKED} and ${ON_TIME}
    order by ${DUE}, t.task_id
    limit ${window}::int
  ) s
),
freed_keys as materialized (
  select distinct f.exclusive_key from unnest(${sql.val(keys)}::text[]) as f (exclusive_key)
),
freed_lines as (
  select f.exclusive_key, (
    select t.kind from tasks t
    where t.namespace = ${namespace} and t.exclusive_key = f.exclusive_key and ${BLOCKED}
    order by t.kind limit 1
  ) as kind
  from freed_keys f
  union all
  select l.exclusive_key, (
    select t.kind from tasks t
    where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and ${BLOCKED} and t.kind > l.kind
    order by t.kind limit 1
  )
  from freed_lines l where l.kind is not null
),
line as materialized (
  select l.*, exists (
    select from task_exclusives x where x.namespace = ${namespace} and x.exclusive_key = l.exclusive_key
  ) as is_held
  from (
    select distinct on (exclusive_key, kind) *
    from (
      select exclusive_key, kind, task_id, due from unblocked_tasks
      union all
      select exclusive_key, kind, null, null from freed_lines where kind is not null
    ) either
    order by exclusive_key, kind, task_id
  ) l
),
head as materialized (
  select l.exclusive_key, l.kind, h.task_id, h.due
  from line l cross join lateral (
    select e.task_id, e.due
    from (
      (select t.task_id, ${DUE} as due from tasks t
       where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and t.kind = l.kind and ${BLOCKED} and ${ON_TIME}
       order by t.task_id limit 1)
      union all
      (select o.task_id, o.due
       from (
         select t.task_id, ${DUE} as due, t.unchecked is null and ${ON_TIME} as is_claimable
         from tasks t
         where t.namespace = ${namespace} and t.exclusive_key = l.exclusive_key and t.kind = l.kind
           and t.status = 'pending' and t.exclusive_key is not null and not t.blocked
         order by t.task_id limit ${DUE_READ_MAX}::int
       ) o
       where o.is_claimable
       order by o.task_id limit 1)
      union all
      (select l.task_id, l.due where l.task_id is not null)
    ) e
    order by e.task_id limit 1
  ) h
  where not l.is_held
),
turn as (
  select distinct on (h.exclusive_key) h.task_id, h.due, k.place
  from head h join kinds k using (kind)
  order by h.exclusive_key, h.task_id
),
available as materialized (
  select k.place, a.task_id, a.due, false as is_keyed
  from kinds k cross join lateral (
    select t.task_id, ${DUE} as due
    from tasks t
    where t.namespace = ${namespace} and t.kind = k.kind and ${KEYLESS} and ${ON_TIME} and ${trusted}
    order by ${DUE}, t.task_id
    limit ${limit}::int + 1
  ) a
  union all
  select place, task_id, due, true from turn
),
chosen as materialized (
  select * from (
    select *, row_number() over (partition by place order by due, task_id) as rank from available
  ) ranked
  order by rank, place
  limit ${limit}::int
),
candidate as materialized (
  select c.*
  from (select place, count(*) from chosen where not is_keyed group by place) share
  join kinds k using (place)
  cross join lateral (
    select t.task_id, t.exclusive_key
    from tasks t
    where t.namespace = ${namespace} and t.kind = k.kind and ${KEYLESS} and ${ON_TIME} and ${trusted}
    order by ${DUE}, t.task_id
    limit share.count
    for update skip locked
  ) c
  union all
  select c.*
  from (
    select t.task_id, t.exclusive_key
    from tasks t
    where t.task_id = any(array(select task_id from chosen where is_keyed))
      and t.status = 'pending' and t.unchecked is null and ${ON_TIME} and ${trusted}
    for update skip locked
  ) c
),
held as (
  insert into task_exclusives (namespace, exclusive_key, task_id)
  select ${namespace}, exclusive_key, task_id from candidate where exclusive_key is not null
  order by exclusive_key
  on conflict do nothing
  returning exclusive_key, task_id
),
claimed as (
  update tasks t
  set status = 'running', lease = ${lease}::uuid, attempt = t.attempt + 1, appended = 0, last_seq = t.last_seq + 1,
      started_at = coalesce(t.started_at, now()), blocked = false,
      attempt_deadline_at = least(now() + t.timeout_ms * interval '1 millisecond', t.deadline_at)
  where t.status = 'pending' and t.task_id = any(array(
    select task_id from candidate where exclusive_key is null union all select task_id from held
  ))
  returning ${TASK_LIST}
),
inserted_events as (
  insert into task_events (task_id, seq, time, type, body)
  select task_id, last_seq, now(), 'started', json_build_object('kind', kind, 'attempt', attempt)
  from claimed
),
blocked as (
  update tasks set blocked = true
  where task_id = any(array(
    select t.task_id from tasks t
    where t.task_id = any(array(
        select s.task_id from unblocked_tasks s
        where (s.exclusive_key in (select exclusive_key from line where is_held)
            or s.exclusive_key in (select exclusive_key from held))
          and s.task_id not in (select task_id from candidate)
      ))
      and ${UNBLOCKED}
    for update skip locked
  ))
  returning exclusive_key
),
unblocked as (
  update tasks set blocked = false
  where task_id = any(array(
    select t.task_id from tasks t
    where t.task_id = any(array(
        select h.task_id from head h where h.exclusive_key not in (select exclusive_key from held)
      ))
      and ${BLOCKED}
    for update skip locked
  ))
),
outcome as (
  select now() as at,
         (select count(*) from available) > (select count(*) from claimed)
           or exists (select from unblocked_tasks group by kind having count(*) >= ${window}::int) as "hasMore",
         array(select distinct exclusive_key from blocked) as "blockedKeys"
)
select o.*, c.* from outcome o left join claimed c on true order by c.task_id`;
}

// Of a task t, in the words of the indexes.
const DUE = sql`coalesce(t.run_at, t.created_at)`;
const ON_TIME = sql`coalesce(t.run_at, t.created_at) <= now() and (t.deadline_at is null or t.deadline_at > now())`;
const KEYLESS = sql`t.status = 'pending' and t.unchecked is null and t.exclusive_key is null`;
const UNBLOCKED = sql`t.status = 'pending' and t.unchecked is null and t.exclusive_key is not null and not t.blocked`;
const BLOCKED = sql`t.status = 'pending' and t.blocked`;
