import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { StoreUnavailable } from "../../domain/errors.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Database } from "../schema.ts";

/**
 * A time for which no transaction of the service stays open. PostgreSQL stores only 32 bits of the number of the
 * transaction that wrote a row. The row's time tells transactions apart whose numbers differ by a multiple of 2^32.
 */
const TRANSACTION_MS_MAX = 60 * 60 * 1_000;

/** Columns of a statement's own snapshot, for a CTE that each use of rowXid joins as `m`. */
export const OWN_SNAPSHOT = sql`pg_current_snapshot()::text as snapshot,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid, now() as at`;

/**
 * Columns of a statement's own snapshot, for a CTE `clock` before the CTE of logCheck.
 *
 * The snapshot is taken before the statement runs, so the log's position is no earlier: every transaction that had
 * completed in the snapshot has the record of its commit or abort below this position.
 */
export const OWN_SNAPSHOT_IN_LOG = sql`${OWN_SNAPSHOT},
  case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end as log_position`;

/**
 * Returns a CTE `log_check` with one column `log`: the database's timeline, and whether its log (WAL) is on disk as far
 * as the snapshot of `clock` needs it. A crash loses the part of the log that is not on disk, and PostgreSQL then
 * reuses the numbers of the lost transactions. So a follower may get a cursor with a snapshot only if the log is on
 * disk.
 *
 * If the log is not on disk, and `isNeeded`, the statement itself becomes a transaction that writes a few bytes to the
 * log. PostgreSQL then flushes the log at the commit of the statement, and waits for synchronous standbys, if any,
 * before it answers. So no crash can occur between the snapshot and the proof. Without such a commit, it is unknown
 * whether the log is on the disks of standbys.
 */
export function logCheck(isNeeded: RawBuilder<unknown>): RawBuilder<unknown> {
  const hasStandbys = sql`current_setting('synchronous_standby_names') <> ''`;
  const waitsForCommit = sql`set_config('synchronous_commit', case
      when current_setting('synchronous_commit') in ('off', 'local') then 'on'
      else current_setting('synchronous_commit')
    end, true) is not null`;
  return sql`log_check as materialized (
  select left(pg_walfile_name(m.log_position), 8) || case
    when not ${hasStandbys} and pg_current_wal_flush_lsn() >= m.log_position then ' flushed'
    when ${isNeeded} and ${waitsForCommit} and pg_logical_emit_message(true, 'spool', '') is not null
      then case when ${hasStandbys} then ' replicated' else ' flushed' end
    else '' end as log
  from clock m
)`;
}

/** A snapshot, and the column of logCheck. */
export interface SnapshotRow {
  snapshot: string;
  at: Date;
  /** null: the database is in recovery. */
  log: string | null;
}

/** Reads the current snapshot. @param isGiven whether a cursor will hold it: if so, the log is on disk afterwards */
export async function readSnapshot(db: Kysely<Database>, { isGiven }: { isGiven: boolean }): Promise<Snapshot> {
  const { rows } = await sql<SnapshotRow>`with /* spool_snapshot */ clock as materialized (
  select ${OWN_SNAPSHOT_IN_LOG}
), ${logCheck(sql`${isGiven}::boolean`)}
select m.snapshot, m.at, l.log from clock m cross join log_check l`.execute(db);
  return toSnapshot(rows[0]!).snapshot;
}

/** Returns the number of the transaction that wrote the current version of a row. @param row the alias of a table */
export function rowXid(row: string): RawBuilder<bigint> {
  return sql`(m.next_xid - ((m.next_xid - ${sql.ref(`${row}.xmin`)}::text::bigint) & 4294967295))`;
}

/** Returns the condition for the writes of a transaction to be visible in a snapshot. */
export function isVisible(xid: RawBuilder<unknown>, { xmin, xmax, running }: Snapshot): RawBuilder<boolean> {
  return sql`(${xid} < ${xmin}::bigint or (${xid} < ${xmax}::bigint and ${xid} <> all(${running}::bigint[])))`;
}

/**
 * Returns the condition for a row to be visible in a snapshot. The row must never be updated.
 *
 * @param row the alias of a table with a column `time`
 */
export function isRowVisible(row: string, snapshot: Snapshot): RawBuilder<boolean> {
  const isOld = sql`${sql.ref(`${row}.time`)} < ${surelyVisibleBefore(snapshot)}::timestamptz`;
  return sql`(${isOld} or ${isVisible(rowXid(row), snapshot)})`;
}

/** Returns the time before which every event is visible in a snapshot. */
export function surelyVisibleBefore(snapshot: Snapshot): Date {
  return new Date(snapshot.at.getTime() - TRANSACTION_MS_MAX);
}

/**
 * Converts the snapshot of a row.
 *
 * @throws StoreUnavailable if the database is in recovery: a standby gives no cursors
 */
export function toSnapshot({ snapshot, at, log }: SnapshotRow): { snapshot: Snapshot; isDurable: boolean } {
  if (log === null) throw new StoreUnavailable(new Error("the database is in recovery: it is a standby"));
  const [timeline, state] = log.split(" ");
  const isReplicated = state === "replicated";
  return {
    snapshot: { ...parseSnapshot(snapshot), at, timeline: Number.parseInt(timeline!, 16), isReplicated },
    isDurable: state !== undefined,
  };
}

/** Parses a snapshot. @param text PostgreSQL's text of a pg_snapshot: `xmin:xmax:running,running` */
function parseSnapshot(text: string): Pick<Snapshot, "xmin" | "xmax" | "running"> {
  const [xmin, xmax, running] = text.split(":");
  return {
    xmin: BigInt(xmin!),
    xmax: BigInt(xmax!),
    running: running === "" ? [] : running!.split(",").map(BigInt),
  };
}
