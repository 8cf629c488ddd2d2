import { sql } from "kysely";
import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Database } from "../schema.ts";
import { encodeStoredSnapshot } from "./stored-snapshot.ts";

/**
 * How far a move has come:
 *
 * - `copying`: servers serve the namespace from the old shard, while ended tasks are copied.
 * - `closed`: no server serves it, and the rest is copied.
 * - `moved`: servers serve it from the new shard. The old shard still has its rows, for followers of many tasks whose
 *   cursors are of before the move.
 */
export type MovePhase = "copying" | "closed" | "moved";

export interface Move {
  namespace: string;
  from: string;
  to: string;
  phase: MovePhase;
}

const COLUMNS = ["namespace", "from_shard as from", "to_shard as to", "phase"] as const;

/** The key of the advisory lock of the process that moves a namespace. */
export function moveLock(namespace: string | RawBuilder<string>): RawBuilder<bigint> {
  return sql`hashtextextended('spool move ' || ${namespace}, 0)`;
}

/** An unfinished move that no process works on. */
export type AbandonedMove = Move & { sinceMs: number };

/** Reads the unfinished moves whose process has ended, the oldest first. Only the first shard has moves. */
export async function readAbandonedMoves(db: Kysely<Database>): Promise<AbandonedMove[]> {
  const key = sql`(select ${moveLock(sql.ref("m.namespace"))})`;
  const { rows } = await sql<AbandonedMove>`
    select m.namespace, m.from_shard as "from", m.to_shard as "to", m.phase,
           (extract(epoch from clock_timestamp() - m.started_at) * 1000)::float8 as "sinceMs"
    from namespace_moves m
    where m.phase <> 'moved' and not exists (
      select from pg_locks l
      where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database())
        and l.objsubid = 1 and ((l.classid::bigint << 32) | l.objid::bigint) = ${key}
    )
    order by m.started_at, m.namespace`.execute(db);
  return rows;
}

export function readMove(db: Kysely<Database>, namespace: string): Promise<Move | undefined> {
  return db.selectFrom("namespace_moves").select(COLUMNS).where("namespace", "=", namespace).executeTakeFirst();
}

export async function beginMove(
  trx: Transaction<Database>,
  { namespace, from, to }: Omit<Move, "phase">,
): Promise<void> {
  const row = { namespace, from_shard: from, to_shard: to, phase: "copying" as const };
  await trx.insertInto("namespace_moves").values(row).execute();
}

/** Makes servers leave the namespace. */
export async function closeForMove(trx: Transaction<Database>, namespace: string): Promise<void> {
  await trx.updateTable("namespaces").set({ is_moving: true }).where("name", "=", namespace).execute();
  await trx.updateTable("namespace_moves").set({ phase: "closed" }).where("namespace", "=", namespace).execute();
}

/** Makes servers serve the namespace from the new shard. @param opening a snapshot of the new shard that shows all rows */
export async function finishMove(
  trx: Transaction<Database>,
  { namespace, from, to }: Move,
  opening: Snapshot,
): Promise<void> {
  await trx
    .updateTable("namespaces")
    .set({
      shard: to,
      is_moving: false,
      previous_shard: from,
      generation: sql<number>`generation + 1`,
      opening: encodeStoredSnapshot(opening),
    })
    .where("name", "=", namespace)
    .execute();
  await trx.updateTable("namespace_moves").set({ phase: "moved" }).where("namespace", "=", namespace).execute();
}

/** Makes servers serve the namespace from the old shard again. */
export async function cancelMove(trx: Transaction<Database>, namespace: string): Promise<void> {
  await trx.updateTable("namespaces").set({ is_moving: false }).where("name", "=", namespace).execute();
  await trx.deleteFrom("namespace_moves").where("namespace", "=", namespace).execute();
}

/** Records that the old shard has no rows of the namespace any more. */
export async function forgetMove(trx: Transaction<Database>, namespace: string): Promise<void> {
  await trx.updateTable("namespaces").set({ previous_shard: null }).where("name", "=", namespace).execute();
  await trx.deleteFrom("namespace_moves").where("namespace", "=", namespace).execute();
}
