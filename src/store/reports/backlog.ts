import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { executeWithin } from "../connection/time-limit.ts";

/** The time limit of the count. */
const COUNT_MS_MAX = 5_000;

/** The waiting tasks of a kind. */
export interface KindBacklog {
  /** null: all kinds together that are not listed by name. */
  kind: string | null;
  /** Pending and due tasks, whether or not a live process runs their kind. */
  waiting: number;
  /** How long the oldest task has been due; 0 if none is. */
  oldestMs: number;
  /** Pending tasks that are not due yet. */
  delayed: number;
}

/**
 * Counts the pending tasks of some namespaces together, by kind: first the given kinds, then those with the most tasks,
 * up to kindsMax kinds. The remaining kinds are counted together.
 *
 * It reads every pending row, about a million per second. If pending rows are few, it finds them by an index that holds
 * only such rows. The statement has no name, so it is planned each time: the number of rows varies from none to
 * millions.
 *
 * @throws StoreUnavailable, and an error that `isStatementTimeout` recognizes if the count takes longer than limitMs
 */
export async function readBacklog(
  db: Kysely<Database>,
  { namespaces, kinds, kindsMax }: { namespaces: readonly string[]; kinds: readonly string[]; kindsMax: number },
  limitMs = COUNT_MS_MAX,
): Promise<KindBacklog[]> {
  type Row = { kind: string | null; waiting: bigint; delayed: bigint; oldest_ms: number | null };
  const rows = await executeWithin(
    db,
    limitMs,
    sql<Row>`
with pending as (
  select kind, coalesce(run_at, created_at) as due_at from tasks
  where namespace = any(${sql.val(namespaces)}::text[]) and status = 'pending'
),
counted as (
  select kind, count(*) filter (where due_at <= now()) as waiting, count(*) filter (where due_at > now()) as delayed,
         min(due_at) as first_due_at
  from pending group by kind
),
ranked as (
  select *, row_number() over (order by kind = any(${sql.val(kinds)}::text[]) desc, waiting + delayed desc, kind) as rank
  from counted
)
select case when rank <= ${kindsMax}::int then kind end as kind,
       sum(waiting)::bigint as waiting, sum(delayed)::bigint as delayed,
       date_part('epoch', now() - min(first_due_at)) * 1000 as oldest_ms
from ranked
group by 1`,
  );
  return rows.map(({ kind, waiting, delayed, oldest_ms }) => ({
    kind,
    waiting: Number(waiting),
    delayed: Number(delayed),
    oldestMs: Math.max(0, oldest_ms ?? 0),
  }));
}
