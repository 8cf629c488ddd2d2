import { query } from "./databases.ts";

// How large Spool's tables are, for measures of what stays behind.

export interface TableSize {
  table: string;
  /** The table with its TOAST, in bytes. */
  tableBytes: number;
  indexBytes: number;
  /** Counted by pgstattuple where Postgres has it and the table is small enough to be read, else from its statistics. */
  deadRows: number;
}

/** The reading of a larger table would be in the way of what is measured. */
const COUNTED_BYTES_MAX = 256 * 1024 ** 2;

/** Whether a database could be given pgstattuple, by its URL. */
const counting = new Map<string, Promise<boolean>>();

function canCount(url: string): Promise<boolean> {
  const found =
    counting.get(url) ??
    query<{ has: boolean }>(
      url,
      "select exists (select from pg_available_extensions where name = 'pgstattuple') as has",
    ).then(async ([row]) => {
      if (row!.has) await query(url, "create extension if not exists pgstattuple");
      return row!.has;
    });
  counting.set(url, found);
  return found;
}

/** Reads the sizes of all tables of Spool, the largest first. */
export async function readTableSizes(url: string): Promise<TableSize[]> {
  const dead = (await canCount(url))
    ? `case when pg_table_size(relid) <= ${COUNTED_BYTES_MAX}
       then (select dead_tuple_count from pgstattuple(relid)) else n_dead_tup end`
    : "n_dead_tup";
  return query<TableSize>(
    url,
    `select relname as table, pg_table_size(relid)::float8 as "tableBytes", pg_indexes_size(relid)::float8 as "indexBytes",
       ${dead}::float8 as "deadRows"
     from pg_stat_user_tables
     where relname in ('tasks', 'task_events', 'packed_events', 'task_requests', 'task_exclusives', 'sessions', 'removed_tasks')
     order by pg_total_relation_size(relid) desc`,
  );
}

export function bytesOf(sizes: readonly TableSize[]): number {
  return sizes.reduce((sum, { tableBytes, indexBytes }) => sum + tableBytes + indexBytes, 0);
}

/** Says the sizes on one line: of each table the rows, the indexes and the dead rows. */
export function describeSizes(sizes: readonly TableSize[]): string {
  return sizes
    .map(({ table, tableBytes, indexBytes, deadRows }) => {
      const dead = deadRows === 0 ? "" : `, ${Math.round(deadRows).toLocaleString("en")} dead`;
      return `${table} ${inMiB(tableBytes)} + ${inMiB(indexBytes)}${dead}`;
    })
    .join("; ");
}

export function inMiB(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
