import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { Database } from "../schema.ts";

// Waiting tasks, for the checks that detect stalls. Each query reads an index, and only a bounded part of it.

const KINDS_MAX = 100;
/** The most tasks of a kind to count, each for tasks without a key, tasks with a key, and unvalidated tasks. */
export const DUE_COUNTED_MAX = 1_000;
const CLAIMABLE_MAX = 20;
/** The most tasks of a kind with exclusive keys to read. */
const KEYED_READ_MAX = 200;
/** The most keys to read that blocked tasks wait for. */
const KEYS_READ_MAX = 1_000;
export const IDLE_KEYS_MAX = 100;

/** The waiting tasks of one kind that are due. */
export interface WaitingKind {
  kind: string;
  /** A lower bound: tasks are counted up to DUE_COUNTED_MAX. */
  count: number;
  /** How long the oldest of the tasks has been due. */
  waitedMs: number;
}

const DUE = sql<Date>`coalesce(run_at, created_at)`;
const waitedMs = sql`extract(epoch from now() - coalesce(run_at, created_at)) * 1000`;

// Conditions, written as in the indexes. Each waiting task meets one of them, or waits for an exclusive key.
const KEYLESS = sql`status = 'pending' and unchecked is null and exclusive_key is null`;
const KEYED = sql`status = 'pending' and unchecked is null and exclusive_key is not null and not blocked`;
const UNCHECKED = sql`unchecked is not null and status = 'pending'`;

/** Counts, by kind, due tasks that do not wait for an exclusive key. The kinds with the longest waits come first. */
export async function readWaitingKinds(db: Kysely<Database>, namespace: string): Promise<WaitingKind[]> {
  const parts = await Promise.all([KEYLESS, KEYED, UNCHECKED].map((which) => countKinds(db, { namespace, which })));
  const kinds = new Map<string, WaitingKind>();
  for (const { kind, count, waitedMs } of parts.flat()) {
    const found = kinds.get(kind) ?? { kind, count: 0, waitedMs: 0 };
    kinds.set(kind, { kind, count: found.count + count, waitedMs: Math.max(found.waitedMs, waitedMs) });
  }
  return [...kinds.values()].sort((one, other) => other.waitedMs - one.waitedMs).slice(0, KINDS_MAX);
}

/** Counts, by kind, due tasks that are unvalidated, at most 1,000 per kind. */
export function readUnvalidatedKinds(db: Kysely<Database>, namespace: string): Promise<WaitingKind[]> {
  return countKinds(db, { namespace, which: UNCHECKED });
}

async function countKinds(
  db: Kysely<Database>,
  { namespace, which }: { namespace: string; which: RawBuilder<unknown> },
): Promise<WaitingKind[]> {
  const waiting = sql`namespace = ${namespace} and ${which}`;
  // Steps from kind to kind in the index, instead of reading all tasks of each kind.
  const { rows } = await sql<WaitingKind>`
with recursive found as (
  (select kind from tasks where ${waiting} order by kind limit 1)
  union all
  select (select t.kind from tasks t where ${waiting} and t.kind > found.kind order by t.kind limit 1)
  from found where found.kind is not null
)
select f.kind, w.count, w.waited::float8 as "waitedMs"
from (select kind from found where kind is not null limit ${KINDS_MAX}::int) f
cross join lateral (
  select count(*)::int as count, max(waited) as waited
  from (
    select ${waitedMs} as waited from tasks
    where ${waiting} and kind = f.kind and ${DUE} <= now()
    order by ${DUE}
    limit ${DUE_COUNTED_MAX}::int
  ) one
) w
where w.count > 0`.execute(db);
  return rows;
}

/** A task that can be claimed. */
export interface ClaimableTask {
  taskId: string;
  attempt: number;
  kind: string;
  waitedMs: number;
}

/**
 * Reads the tasks that a claim would take next, for each set of kinds: at most 20 per set, those first that have been
 * due longest. Of the tasks with one exclusive key, only the oldest is read, and only if the key is free. It is read
 * even if it is blocked, which it should not be for long.
 */
export async function readClaimable(
  db: Kysely<Database>,
  query: { namespace: string; kindSets: readonly (readonly string[])[] },
): Promise<ClaimableTask[][]> {
  const { namespace, kindSets } = query;
  const columns = sql`task_id, attempt, kind, exclusive_key, ${DUE} as due`;
  const onTime = sql`${DUE} <= now() and (deadline_at is null or deadline_at > now())`;
  const blocked = sql`namespace = ${namespace} and status = 'pending' and blocked`;
  const { rows } = await sql<ClaimableTask & { place: number }>`
with recursive kinds as materialized (
  select s.place::int as place, k.kind
  from jsonb_array_elements(${JSON.stringify(kindSets)}::jsonb) with ordinality s (kinds, place)
  cross join lateral jsonb_array_elements_text(s.kinds) k (kind)
),
found_key as (
  (select exclusive_key from tasks where ${blocked} order by exclusive_key limit 1)
  union all
  select (
    select t.exclusive_key from tasks t where ${blocked} and t.exclusive_key > k.exclusive_key
    order by t.exclusive_key limit 1
  )
  from found_key k where k.exclusive_key is not null
),
blocked_key as materialized (
  select exclusive_key from found_key where exclusive_key is not null limit ${KEYS_READ_MAX}::int
),
keyed as (
  select k.place, t.*
  from kinds k cross join lateral (
    select ${columns} from tasks
    where namespace = ${namespace} and kind = k.kind and ${KEYED} and ${onTime}
    order by ${DUE}, task_id limit ${KEYED_READ_MAX}::int
  ) t
  union all
  select k.place, t.*
  from blocked_key b cross join kinds k cross join lateral (
    select ${columns} from tasks
    where ${blocked} and exclusive_key = b.exclusive_key and kind = k.kind and ${onTime}
    order by task_id limit 1
  ) t
),
claimable as (
  select k.place, t.*
  from kinds k cross join lateral (
    select ${columns} from tasks
    where namespace = ${namespace} and kind = k.kind and ${KEYLESS} and ${onTime}
    order by ${DUE}, task_id limit ${CLAIMABLE_MAX}::int
  ) t
  union all
  (select distinct on (place, exclusive_key) *
   from keyed k
   where not exists (
     select from task_exclusives x where x.namespace = ${namespace} and x.exclusive_key = k.exclusive_key
   )
   order by place, exclusive_key, task_id)
)
select place, task_id as "taskId", attempt, kind,
       (extract(epoch from now() - due) * 1000)::float8 as "waitedMs"
from (
  select *, row_number() over (partition by place order by due, task_id) as number from claimable
) ranked
where number <= ${CLAIMABLE_MAX}::int
order by place, number`.execute(db);
  const found = kindSets.map((): ClaimableTask[] => []);
  for (const { place, ...task } of rows) found[place - 1]!.push(task);
  return found;
}

/** An exclusive key, held by a task that does not run; status null: the task does not exist. */
export interface IdleKey {
  key: string;
  taskId: string;
  status: string | null;
}

/**
 * Reads idle keys, at most 100. There should be none, because a key is taken and released in the commit that begins or
 * ends an attempt.
 */
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
