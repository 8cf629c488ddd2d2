import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { NAMESPACES_MAX } from "../../domain/limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import { decodeStoredSnapshot } from "../moves/stored-snapshot.ts";
import type { Database } from "../schema.ts";
import { placeNamespace } from "./shards.ts";

/** A row of the table of namespaces. */
export interface NamespaceRow {
  name: string;
  limits: Limits;
  createdAt: Date;
  createdBy: string;
  /** The shard that it lives on. */
  shard: string;
  /** Whether it is being moved to another one. */
  isMoving: boolean;
  /** How often it has been moved. */
  generation: number;
  /** What followers with cursors of before the last move need; null: it was never moved, or the rows there are gone. */
  before: { shard: string; opening: Snapshot } | null;
}

const COLUMNS = [
  "name",
  "limits",
  "created_at as createdAt",
  "created_by as createdBy",
  "shard",
  "is_moving as isMoving",
  "generation",
  "previous_shard as previousShard",
  "opening",
] as const;

/** Reads all namespaces, by name. */
export async function readNamespaces(db: Kysely<Database>): Promise<NamespaceRow[]> {
  const rows = await db.selectFrom("namespaces").select(COLUMNS).orderBy("name").limit(NAMESPACES_MAX).execute();
  return rows.map(toNamespace);
}

type SelectedRow = Omit<NamespaceRow, "before"> & { previousShard: string | null; opening: string | null };

function toNamespace({ previousShard, opening, ...row }: SelectedRow): NamespaceRow {
  const hasRows = previousShard !== null && opening !== null;
  return { ...row, before: hasRows ? { shard: previousShard, opening: decodeStoredSnapshot(opening) } : null };
}

/**
 * Creates a namespace, or changes its limits. Creations are serialized, so that there are never more than
 * NAMESPACES_MAX.
 *
 * @param wanted.limits null: they stay as they are
 * @param wanted.shard where a new namespace is placed; default: see placeNamespace
 * @param wanted.avoid shards where a new namespace is not placed
 * @returns undefined if it does not exist, and there are NAMESPACES_MAX
 */
export async function writeNamespace(
  trx: Transaction<Database>,
  {
    name,
    limits,
    by,
    shard: wanted,
    avoid,
  }: { name: string; limits: Limits | null; by: string; shard?: string; avoid?: ReadonlySet<string> },
): Promise<{ row: NamespaceRow; isNew: boolean } | undefined> {
  const placed = await placeNamespace(trx, avoid);
  const shard = wanted ?? placed;
  const changed = await trx
    .updateTable("namespaces")
    .set({ changed_at: sql<Date>`now()`, ...(limits !== null && { limits: JSON.stringify(limits) }) })
    .where("name", "=", name)
    .returning(COLUMNS)
    .executeTakeFirst();
  if (changed !== undefined) return { row: toNamespace(changed), isNew: false };
  const { count } = await trx
    .selectFrom("namespaces")
    .select(({ fn }) => fn.countAll<bigint>().as("count"))
    .executeTakeFirstOrThrow();
  if (count >= NAMESPACES_MAX) return undefined;
  const row = await trx
    .insertInto("namespaces")
    .values({ name, limits: JSON.stringify(limits ?? {}), created_by: by, shard })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return { row: toNamespace(row), isNew: true };
}
