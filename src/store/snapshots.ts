import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { Snapshot } from "../domain/snapshot.ts";
import type { Database } from "./schema.ts";

/**
 * PostgreSQL keeps 32 bits of the number of the transaction that wrote a row. Of two that differ by a multiple of 2^32
 * the row's time tells which it is: no transaction of the service is open for as long as this.
 */
const TRANSACTION_MS_MAX = 60 * 60 * 1_000;

/** Columns of a statement's own snapshot, for a CTE that every use of rowXid joins as `m`. */
export const OWN_SNAPSHOT = sql`pg_current_snapshot()::text as snapshot,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid, now() as at`;

/** What is visible now. */
export async function readSnapshot(db: Kysely<Database>): Promise<Snapshot> {
  const { rows } = await sql<{ snapshot: string; at: Date }>`select ${OWN_SNAPSHOT}`.execute(db);
  return parseSnapshot(rows[0]!.snapshot, rows[0]!.at);
}

/** The transaction that wrote a row as it is. @param row the alias of a table */
export function rowXid(row: string): RawBuilder<bigint> {
  return sql`(m.next_xid - ((m.next_xid - ${sql.ref(`${row}.xmin`)}::text::bigint) & 4294967295))`;
}

/** Whether what a transaction wrote is visible in a snapshot. */
export function isVisible(xid: RawBuilder<unknown>, { xmin, xmax, running }: Snapshot): RawBuilder<boolean> {
  return sql`(${xid} < ${xmin}::bigint or (${xid} < ${xmax}::bigint and ${xid} <> all(${running}::bigint[])))`;
}

/** Whether a row that is never changed is visible in a snapshot. @param row the alias of a table with a column `time` */
export function isRowVisible(row: string, snapshot: Snapshot): RawBuilder<boolean> {
  const surelyBefore = new Date(snapshot.at.getTime() - TRANSACTION_MS_MAX);
  return sql`(${sql.ref(`${row}.time`)} < ${surelyBefore}::timestamptz or ${isVisible(rowXid(row), snapshot)})`;
}

/** @param text as PostgreSQL writes a pg_snapshot: `xmin:xmax:running,running` */
export function parseSnapshot(text: string, at: Date): Snapshot {
  const [xmin, xmax, running] = text.split(":");
  return {
    xmin: BigInt(xmin!),
    xmax: BigInt(xmax!),
    running: running === "" ? [] : running!.split(",").map(BigInt),
    at,
  };
}
