import { sql } from "kysely";
import type { Kysely } from "kysely";
import { executeWithin } from "../connection/time-limit.ts";
import type { Database } from "../schema.ts";

/** The time limit of a statement. */
const COUNT_MS_MAX = 5_000;
/** How many pages of the table of tasks are read for the shares of the namespaces. */
const SAMPLED_PAGES_MAX = 1_000;

/** The tasks of a namespace that have not ended. */
export interface OpenTasks {
  pendingTasks: number;
  runningTasks: number;
}

/**
 * Counts the tasks that have not ended, by namespace. Namespaces without such tasks are left out. Reads an index entry
 * of each counted task, about a million per second.
 *
 * @throws StoreUnavailable, and an error that `isStatementTimeout` recognizes if the count takes longer than 5 s
 */
export async function countOpenTasks(
  db: Kysely<Database>,
  namespaces: readonly string[],
): Promise<ReadonlyMap<string, OpenTasks>> {
  const rows = await executeWithin(
    db,
    COUNT_MS_MAX,
    sql<{ namespace: string; pending: number; running: number }>`
select namespace, count(*) filter (where status = 'pending')::float8 as pending,
       count(*) filter (where status = 'running')::float8 as running
from tasks
where namespace = any(${sql.val(namespaces)}::text[]) and status in ('pending', 'running')
group by namespace`,
  );
  return new Map(rows.map(({ namespace, pending: pendingTasks, running: runningTasks }) => [
    namespace,
    { pendingTasks, runningTasks },
  ])); // prettier-ignore
}

/**
 * Estimates the bytes that the tasks and events of each namespace take in the database, with indexes and space that is
 * not used yet. A random sample of the tasks says which share of the rows and of the events a namespace has. Namespaces
 * without a task in the sample are left out.
 *
 * @throws as above
 */
export async function estimateStoredBytes(db: Kysely<Database>): Promise<ReadonlyMap<string, number>> {
  const [sizes] = await executeWithin(
    db,
    COUNT_MS_MAX,
    sql<{ task_bytes: number; event_bytes: number; pages: number }>`
select pg_total_relation_size('tasks')::float8 as task_bytes,
       (pg_total_relation_size('task_events') + pg_total_relation_size('packed_events'))::float8 as event_bytes,
       (pg_relation_size('tasks') / current_setting('block_size')::int)::float8 as pages`,
  );
  const { task_bytes, event_bytes, pages } = sizes!;
  const percent = Math.min(100, (100 * SAMPLED_PAGES_MAX) / Math.max(1, pages));
  const rows = await executeWithin(
    db,
    COUNT_MS_MAX,
    sql<{ namespace: string; row_bytes: number; events: number }>`
select namespace, sum(pg_column_size(t))::float8 as row_bytes, sum(last_seq)::float8 as events
from tasks t tablesample system (${percent}::real)
group by namespace`,
  );
  const total = (of: (row: (typeof rows)[number]) => number) =>
    Math.max(
      1,
      rows.reduce((sum, row) => sum + of(row), 0),
    );
  const rowBytes = total((row) => row.row_bytes);
  const events = total((row) => row.events);
  return new Map(
    rows.map((row) => [
      row.namespace,
      Math.round((task_bytes * row.row_bytes) / rowBytes + (event_bytes * row.events) / events),
    ]),
  );
}
