import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { NAMESPACES_MAX } from "../../domain/limits.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Database } from "../schema.ts";

/** A row of the table of namespaces. */
export interface NamespaceRow {
  name: string;
  limits: Limits;
  createdAt: Date;
  createdBy: string;
}

const COLUMNS = ["name", "limits", "created_at as createdAt", "created_by as createdBy"] as const;

/** Reads all namespaces, by name. */
export async function readNamespaces(db: Kysely<Database>): Promise<NamespaceRow[]> {
  return db.selectFrom("namespaces").select(COLUMNS).orderBy("name").limit(NAMESPACES_MAX).execute();
}

/** Serializes the creation of namespaces, so that there are never more than NAMESPACES_MAX. */
const CREATION_LOCK = 0x6e_73; // Letters: ns.

/**
 * Creates a namespace, or changes its limits.
 *
 * @param limits null: they stay as they are
 * @returns undefined if it does not exist, and there are NAMESPACES_MAX
 */
export async function writeNamespace(
  trx: Transaction<Database>,
  { name, limits, by }: { name: string; limits: Limits | null; by: string },
): Promise<{ row: NamespaceRow; isNew: boolean } | undefined> {
  await sql`select pg_advisory_xact_lock(${CREATION_LOCK})`.execute(trx);
  const changed = await trx
    .updateTable("namespaces")
    .set({ changed_at: sql<Date>`now()`, ...(limits !== null && { limits: JSON.stringify(limits) }) })
    .where("name", "=", name)
    .returning(COLUMNS)
    .executeTakeFirst();
  if (changed !== undefined) return { row: changed, isNew: false };
  const { count } = await trx
    .selectFrom("namespaces")
    .select(({ fn }) => fn.countAll<bigint>().as("count"))
    .executeTakeFirstOrThrow();
  if (count >= NAMESPACES_MAX) return undefined;
  const row = await trx
    .insertInto("namespaces")
    .values({ name, limits: JSON.stringify(limits ?? {}), created_by: by })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return { row, isNew: true };
}
