import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

// What waits, for somebody who looks whether anything stands still. Each reads by an index, and only so much of it.

/** How much of what is due is looked at, of that which has waited for longest. */
export const DUE_LOOKED_AT_MAX = 10_000;
const KINDS_MAX = 100;
/** Of one kind. */
export const UNCHECKED_COUNTED_MAX = 1_000;
const CLAIMABLE_MAX = 20;
export const IDLE_KEYS_MAX = 100;

/** Tasks of one kind that are due and wait. */
export interface WaitingKind {
  kind: string;
  /** At least: how far is counted has its bound. */
  count: number;
  /** How long the one has been due that has been so for longest. */
  waitedMs: number;
}

const DUE = sql<Date>`coalesce(run_at, created_at)`;
const waitedMs = sql`extract(epoch from now() - coalesce(run_at, created_at)) * 1000`;

/** By kind, of the DUE_LOOKED_AT_MAX tasks that have been due for longest; the kinds of those first. */
export async function readWaitingKinds(db: Kysely<Database>, namespace: string): Promise<WaitingKind[]> {
  const { rows } = await sql<WaitingKind>`
    select kind, count(*)::int as count, max(waited)::float8 as "waitedMs"
    from (
      select kind, ${waitedMs} as waited from tasks
      where namespace = ${namespace} and status = 'pending' and ${DUE} <= now()
      order by ${DUE}, task_id
      limit ${DUE_LOOKED_AT_MAX}::int
    ) due
    group by kind order by "waitedMs" desc limit ${KINDS_MAX}::int`.execute(db);
  return rows;
}

/**
 * By kind, those that are due and that nobody has looked over yet: found however much else waits. Of a kind at most
 * 1,000 are counted.
 */
export async function readUncheckedKinds(db: Kysely<Database>, namespace: string): Promise<WaitingKind[]> {
  const unchecked = sql`namespace = ${namespace} and unchecked is not null and status = 'pending'`;
  // From one kind to the next by the index, and not through all tasks of each.
  const { rows } = await sql<WaitingKind>`
with recursive found as (
  (select kind from tasks where ${unchecked} order by kind limit 1)
  union all
  select (select t.kind from tasks t where ${unchecked} and t.kind > found.kind order by t.kind limit 1)
  from found where found.kind is not null
)
select f.kind, w.count, w.waited::float8 as "waitedMs"
from (select kind from found where kind is not null limit ${KINDS_MAX}::int) f
cross join lateral (
  select count(*)::int as count, max(waited) as waited
  from (
    select ${waitedMs} as waited from tasks
    where ${unchecked} and kind = f.kind and ${DUE} <= now()
    limit ${UNCHECKED_COUNTED_MAX}::int
  ) one
) w
where w.count > 0`.execute(db);
  return rows;
}

/** A task that is there to be claimed. */
export interface ClaimableTask {
  taskId: string;
  attempt: number;
  kind: string;
  waitedMs: number;
}

/**
 * The tasks that a claim for each of the sets of kinds would take next: at most 20 a set, those first that have been due
 * for longest. One by an exclusive key is among them while nobody holds the key and
 * nothing older waits for it.
 */
export async function readClaimable(
  db: Kysely<Database>,
  query: { namespace: string; kindSets: readonly (readonly string[])[] },
): Promise<ClaimableTask[][]> {
  const { namespace, kindSets } = query;
  const { rows } = await sql<ClaimableTask & { place: number }>`
select s.place::int as place, t.*
from jsonb_array_elements(${JSON.stringify(kindSets)}::jsonb) with ordinality s (kinds, place)
cross join lateral (
  select task_id as "taskId", attempt, kind, (${waitedMs})::float8 as "waitedMs"
  from tasks t
  where namespace = ${namespace} and status = 'pending' and unchecked is null
    and kind = any(array(select jsonb_array_elements_text(s.kinds)))
    and ${DUE} <= now() and (deadline_at is null or deadline_at > now())
    and (exclusive_key is null or not exists (
      select from task_exclusives x where x.namespace = t.namespace and x.exclusive_key = t.exclusive_key
    ) and not exists (
      select from tasks o
      where o.namespace = t.namespace and o.exclusive_key = t.exclusive_key and o.task_id < t.task_id
        and o.status = 'pending' and o.unchecked is null and coalesce(o.run_at, o.created_at) <= now()
    ))
  order by ${DUE}, task_id
  limit ${CLAIMABLE_MAX}::int
) t
order by s.place`.execute(db);
  const found = kindSets.map((): ClaimableTask[] => []);
  for (const { place, ...task } of rows) found[place - 1]!.push(task);
  return found;
}

/** An exclusive key, and the task that holds it and does not run; status null: there is no such task. */
export interface IdleKey {
  key: string;
  taskId: string;
  status: string | null;
}

/** At most 100. A key is taken and let go in the commit that begins or ends an attempt: there should be none. */
export async function readIdleKeys(db: Kysely<Database>, namespace: string): Promise<IdleKey[]> {
  return db
    .selectFrom("task_exclusives as held")
    .leftJoin("tasks", "tasks.task_id", "held.task_id")
    .select(["held.exclusive_key as key", "held.task_id as taskId", "tasks.status"])
    .where("held.namespace", "=", namespace)
    .where((eb) => eb.or([eb("tasks.status", "is", null), eb("tasks.status", "<>", "running")]))
    .limit(IDLE_KEYS_MAX)
    .execute();
}
