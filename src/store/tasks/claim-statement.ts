import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { CRASHES_DEFAULT } from "../../domain/limits.ts";
import type { Database } from "../schema.ts";
import type { Claim, Claimed } from "./claim.ts";
import { TASK_LIST, toTask } from "./task-columns.ts";
import type { TaskRow } from "./task-columns.ts";

/** The most tasks of a key and kind that are read, oldest first, to find the oldest one that is due. */
const DUE_READ_MAX = 100;
/** How long a commit may take after the time that it stores, for the next claims to find its task. */
const COMMIT_MS_MAX = 1_000;

/**
 * Claims up to `limit` waiting tasks for a session: in turn from each kind, and within a kind those first that have
 * been due longest. A task is due from its start, or from its `run_at`. The same commit begins the next attempt of each
 * task and writes its `started` event. Two sessions never get the same task: rows that another transaction has locked
 * are skipped, and the update checks again that the task is pending.
 *
 * A session runs only one task at a time that is suspected of crashing its process. So the next crash shows which task
 * caused it. There are few suspected tasks.
 *
 * Of the tasks with the same exclusive key only the oldest is claimed, together with the key. If the claim reads a task
 * whose key is held, the task becomes `blocked`, and later claims do not read it. So the cost of a claim depends on the
 * limit and the number of kinds, not on the length of the queue. docs/adr/0019 explains why no task stays blocked when
 * its key is free.
 *
 * Lists of ids are built as arrays, so that every plan finds the rows by the primary key. For a join with ids that are
 * limited by a column, or written by an earlier CTE, the planner expects a share of the table and reads all of it.
 *
 * In the statement, `suspect` is the one suspected task that may be claimed. `unblocked_tasks` are tasks with keys that
 * are not blocked. A `line` is a key and a kind that has waiting tasks. A `head` is the oldest task of a line whose key
 * is free. A `turn` is the oldest head of a key.
 */
export async function claimTasks(db: Kysely<Database>, claim: Claim): Promise<Claimed> {
  const { rows } = await (db.isTransaction
    ? planOnce(true)
        .execute(db)
        .then(() => send(db, claim))
    : db.connection().execute((connection) => claimOn(connection, claim)));
  const { at, hasMore, blockedKeys, dueFrom } = rows[0] ?? NOTHING_READ();
  const isTask = (row: ClaimRow): row is ClaimRow & TaskRow => typeof row.task_id === "string";
  return {
    tasks: rows.filter(isTask).map(toTask),
    at,
    hasMore,
    blockedKeys,
    dueFrom: new Map(dueFrom.map((due, index) => [claim.kinds[index]!, due])),
  };
}

/** Runs the claim in its own commit, so that a process that stalls between two statements holds no row and no key. */
async function claimOn(connection: Kysely<Database>, claim: Claim): Promise<{ rows: ClaimRow[] }> {
  await planOnce(false).execute(connection);
  try {
    return await send(connection, claim);
  } finally {
    await PLAN_AS_EVER.execute(connection);
  }
}

async function send(db: Kysely<Database>, claim: Claim): Promise<{ rows: ClaimRow[] }> {
  return claim.signal?.aborted ? { rows: [] } : claimStatement(claim).execute(db);
}

/**
 * Sets how a connection plans its claims:
 * - Once. If a limit is a parameter, the planner expects a tenth of the table. So it would never choose the generic plan,
 *   and would plan each claim anew, which takes as long as the claim.
 * - Without sorting tasks. If the planner expects few waiting tasks, it finds an index by status as good as the indexes
 *   for claims. It would read the entries of all tasks that were waiting before, and sort what is left.
 *
 * @param isLocal whether the settings apply to the current transaction only
 */
export const planOnce = (isLocal: boolean) => sql`/* spool_plan_once */
select set_config('plan_cache_mode', 'force_generic_plan', ${isLocal}), set_config('enable_sort', 'off', ${isLocal})`;

const PLAN_AS_EVER = sql`/* spool_plan_as_ever */
select set_config('plan_cache_mode', null, false), set_config('enable_sort', null, false)`;

interface Outcome {
  at: Date;
  hasMore: boolean;
  blockedKeys: string[];
  /** One for each kind of the claim; empty: the claim was not sent. */
  dueFrom: Date[];
}
type ClaimRow = Partial<TaskRow> & Outcome;

const NOTHING_READ = (): Outcome => ({ at: new Date(), hasMore: false, blockedKeys: [], dueFrom: [] });

/** Returns the statement of a claim. Its result has a row for each task, or one row without a task. */
export function claimStatement(claim: Claim): RawBuilder<ClaimRow> {
  const { namespace, kinds, lease, limit, window = limit + 1, keys = [] } = claim;
  const { suspectedFrom = CRASHES_DEFAULT - 1, dueFrom } = claim;
  const froms = kinds.map((kind) => dueFrom?.get(kind)?.toISOString() ?? "-infinity");
  const trusted = sql`(t.crashes < ${suspectedFrom}::int or t.task_id in (select task_id from suspect))`;
  return sql<ClaimRow>`/* spool_claim */
with recursive kinds as materialized (
  select k.kind, k.due_from, k.place::int as place
  from unnest(${sql.val(kinds)}::text[], ${sql.val(froms)}::timestamptz[]) with ordinality as k (kind, due_from, place)
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
    where t.namespace = ${namespace} and t.kind = k.kind and ${KEYLESS} and ${ON_TIME} and ${DUE} >= k.due_from
      and ${trusted}
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
    where t.namespace = ${namespace} and t.kind = k.kind and ${KEYLESS} and ${ON_TIME} and ${DUE} >= k.due_from
      and ${trusted}
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
         array(select distinct exclusive_key from blocked) as "blockedKeys",
         array(
           select least(now(), (select min(a.due) from available a where a.place = k.place and not a.is_keyed))
             - ${COMMIT_MS_MAX}::int * interval '1 millisecond'
           from kinds k order by k.place
         ) as "dueFrom"
)
select o.*, c.* from outcome o left join claimed c on true order by c.task_id`;
}

// Conditions on a task t, written as in the indexes.
const DUE = sql`coalesce(t.run_at, t.created_at)`;
const ON_TIME = sql`coalesce(t.run_at, t.created_at) <= now() and (t.deadline_at is null or t.deadline_at > now())`;
const KEYLESS = sql`t.status = 'pending' and t.unchecked is null and t.exclusive_key is null`;
const UNBLOCKED = sql`t.status = 'pending' and t.unchecked is null and t.exclusive_key is not null and not t.blocked`;
const BLOCKED = sql`t.status = 'pending' and t.blocked`;
