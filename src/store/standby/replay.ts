import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

// A read of a standby may serve a call if its snapshot lies between two snapshots of the primary: it shows everything
// that the primary showed when the call began, and nothing that the primary does not show before the answer.
//
//   primary    before ──────────────────────────────────────── after
//   standby            replayed up to `before` ── read ── end      commits of `end` that are not in `after`?

/** How often the log is checked for having been replayed, in one statement, and the pause between two checks. */
const REPLAY_CHECKS_MAX = 10;
const REPLAY_CHECK_MS = 2;
/** The most transactions whose state is read. */
const TRANSACTIONS_MAX = 1_000;

/** What a primary shows at a moment, and where its log ends. */
export interface Position {
  /** Every transaction that the primary shows has its commit at or before this position of the log. */
  lsn: string;
  /** The timeline of the log. Each promotion begins another one. */
  timeline: number;
  /** No transaction with this number or a higher one has ended. */
  xmax: bigint;
  /** The transactions with a lower number that have not ended. */
  running: readonly bigint[];
}

/** Reads the position of the primary. @throws an error of Postgres if the server is a standby */
export async function readPosition(db: Kysely<Database>): Promise<Position> {
  // The snapshot is taken before the statement reads where the log ends. Sessions of Spool commit synchronously, so a
  // transaction is on disk before it is visible.
  const { rows } = await sql<{ lsn: string; timeline: string; xmax: bigint; running: string[] }>`/* spool_position */
select pg_current_wal_flush_lsn()::text as lsn, left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) as timeline,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax,
  array(select x::text::bigint from pg_snapshot_xip(pg_current_snapshot()) x) as running`.execute(db);
  const { timeline, running, ...position } = rows[0]!;
  return { ...position, timeline: Number.parseInt(timeline, 16), running: running.map(BigInt) };
}

/**
 * Returns a text that is the same for a primary and its standbys, and differs for any other database or schema.
 *
 * @throws an error of Postgres if the role may not execute `pg_control_system`
 */
export async function readIdentity(db: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ identity: string }>`/* spool_identity */
select concat_ws(' ', (select system_identifier from pg_control_system()),
  (select oid from pg_database where datname = current_database()), current_schema()) as identity`.execute(db);
  return rows[0]!.identity;
}

/** Returns how many bytes of the log a standby has not replayed up to a position of its primary. */
export async function readLagBytes(standby: Kysely<Database>, { lsn }: Position): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`/* spool_lag */
select greatest(0, pg_wal_lsn_diff(${lsn}::pg_lsn, pg_last_wal_replay_lsn()))::float8 as bytes`.execute(standby);
  return rows[0]!.bytes;
}

/**
 * Waits a moment until a standby has replayed the log up to a position. Later statements of the connection then show
 * everything that the primary showed there.
 *
 * @returns false if the standby is behind, follows another timeline, or is no standby any more. After a promotion, a
 *   standby may have a part of the old log that the new primary lacks. It counts as one of the new timeline from its
 *   next restart point on, within `checkpoint_timeout`
 */
export async function isReplayed(standby: Kysely<Database>, { lsn, timeline }: Position): Promise<boolean> {
  // A statement of its own: the snapshot of a statement is older than what its functions return.
  const { rows } = await sql<{ isReplayed: boolean }>`/* spool_replayed */
select case when pg_is_in_recovery() and (select timeline_id from pg_control_checkpoint()) = ${timeline}::int then exists (
  select from generate_series(1, ${REPLAY_CHECKS_MAX}::int)
  where case
    when pg_last_wal_replay_lsn() >= ${lsn}::pg_lsn then true
    else pg_sleep(${REPLAY_CHECK_MS / 1_000}::float8) is null -- Waits, and is false.
  end
) else false end as "isReplayed"`.execute(standby);
  return rows[0]!.isReplayed;
}

/** Returns the timeline of the last restart point of a standby. */
export async function readTimeline(standby: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ timeline: number }>`
    select timeline_id as timeline from pg_control_checkpoint()`.execute(standby);
  return rows[0]!.timeline;
}

/** Returns a number that is higher than those of all transactions that earlier statements have shown. */
export async function readEnd(standby: Kysely<Database>): Promise<bigint> {
  const { rows } = await sql<{ xmax: bigint }>`/* spool_end */
select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax`.execute(standby);
  return rows[0]!.xmax;
}

/**
 * Returns the transactions below `end` that a primary does not show; null if they are too many.
 *
 * @param end the result of readEnd
 */
export function hiddenBelow(end: bigint, { xmax, running }: Position): bigint[] | null {
  if (end - xmax > TRANSACTIONS_MAX || running.length > TRANSACTIONS_MAX) return null;
  const hidden = running.filter((xid) => xid < end);
  for (let xid = xmax; xid < end; xid++) hidden.push(xid);
  return hidden;
}

/** Returns which of some transactions a standby shows as committed. A later commit counts, too. */
export async function committedOf(standby: Kysely<Database>, xids: readonly bigint[]): Promise<bigint[]> {
  const { rows } = await sql<{ xid: bigint }>`/* spool_committed */
select xid from unnest(${xids}::bigint[]) xid where pg_xact_status(xid::text::xid8) = 'committed'`.execute(standby);
  return rows.map(({ xid }) => xid);
}
