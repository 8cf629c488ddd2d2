import { sql } from "kysely";
import type { Kysely } from "kysely";
import { reportedOverdueMs } from "../../domain/retention.ts";
import type { Overdue, RetainedKinds } from "../../domain/retention.ts";
import type { Database } from "../schema.ts";
import { retentionAfter } from "../tasks/due-removals.ts";

/** The most ended tasks that are read for one retention of the settings, from each side of the due ones. */
const ROWS_MAX = 5_000;
/** The most distinct retentions of tasks that are read. */
const RETENTIONS_MAX = 1_000;

interface Row {
  overdueMs: number | null;
  retentionMs: number;
}

/**
 * Reads the oldest task of some kinds whose removal is overdue by more than reportedOverdueMs, among the due tasks that
 * ended first and those that ended last. Null: there is none. With millions of tasks of other kinds between them, a task
 * may be missed.
 */
export async function readOverdueRemoval(
  db: Kysely<Database>,
  { namespace, retained }: { namespace: string; retained: RetainedKinds },
): Promise<Overdue | null> {
  const { retentionMs, isOnly, kinds } = retained;
  const late = sql`now() - ${retentionMs + reportedOverdueMs(retentionMs)}::float8 * interval '1 millisecond'`;
  const due = sql`select finished_at, kind, retention_ms from tasks
    where namespace = ${namespace} and finished_at is not null and finished_at < ${late}`;
  const { rows } = await sql<Row>`/* spool_overdue_removal */
select (extract(epoch from now() - min(finished_at)) * 1000)::float8 - ${retentionMs}::float8 as "overdueMs",
       ${retentionMs}::float8 as "retentionMs"
from (
  (${due} order by finished_at limit ${ROWS_MAX}::int)
  union all
  (${due} order by finished_at desc limit ${ROWS_MAX}::int)
) t
where retention_ms is null and (kind = any(${kinds}::text[])) = ${isOnly}::boolean`.execute(db);
  return toOverdue(rows[0]);
}

/** Reads the same of the tasks with a retention of their own: the one that is overdue for longest. */
export async function readOverdueRetained(
  db: Kysely<Database>,
  { namespace }: { namespace: string },
): Promise<Overdue | null> {
  const { rows } = await sql<Row>`/* spool_overdue_retained */
with recursive retention (ms, number) as (
  select (${retentionAfter(namespace, sql`0`)}), 1
  union all
  select (${retentionAfter(namespace, sql`r.ms`)}), number + 1 from retention r where r.ms is not null and number < ${RETENTIONS_MAX}::int
)
select (extract(epoch from now() - oldest.finished_at) * 1000)::float8 - ms as "overdueMs", ms::float8 as "retentionMs"
from retention cross join lateral (
  select finished_at from tasks
  where namespace = ${namespace} and retention_ms = ms and finished_at is not null
  order by finished_at limit 1
) oldest
where ms is not null
order by 1 desc limit 1`.execute(db);
  const overdue = toOverdue(rows[0]);
  return overdue !== null && overdue.overdueMs > reportedOverdueMs(overdue.retentionMs) ? overdue : null;
}

function toOverdue(row: Row | undefined): Overdue | null {
  if (row === undefined || row.overdueMs === null) return null;
  return { overdueMs: row.overdueMs, retentionMs: row.retentionMs };
}
