import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { HOME_SHARD } from "../../domain/shard.ts";
import type { ShardEntry, ShardState } from "../../domain/shard.ts";
import type { Database } from "../schema.ts";

// The shards of a service, as its first shard stores them. The first shard itself has no row.

const STEP = "0018-shards";

const COLUMNS = ["name", "url", "standby_url as standbyUrl", "state", "added_at as addedAt"] as const;

/** Serializes changes of shards with the placement of namespaces, until the transaction ends. */
export async function lockPlacement(trx: Transaction<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('spool placement', 0))`.execute(trx);
}

/** Counts the live servers that would serve every namespace from the first shard. */
export async function countEarlierServers(db: Kysely<Database>): Promise<number> {
  const { count } = await db
    .selectFrom("sessions")
    .select(({ fn }) => fn.countAll<bigint>().as("count"))
    .where("token_digest", "is", null)
    .where("knows_shards", "=", false)
    .where("expires_at", ">", sql<Date>`now()`)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Reads all shards besides the first one, by name. */
export function readShards(db: Kysely<Database>): Promise<ShardEntry[]> {
  return db.selectFrom("shards").select(COLUMNS).orderBy("name").execute();
}

/** Adds a shard, or changes its URLs. From the first shard on, programs that do not know shards must not start. */
export async function writeShard(
  trx: Transaction<Database>,
  { name, url, standbyUrl = null }: Pick<ShardEntry, "name" | "url"> & Partial<Pick<ShardEntry, "standbyUrl">>,
): Promise<ShardEntry> {
  await sql`update spool_schema_compatibility set runs_from = ${STEP}
    where step = ${STEP} and runs_from <> ${STEP}`.execute(trx);
  return trx
    .insertInto("shards")
    .values({ name, url, standby_url: standbyUrl })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ url, standby_url: standbyUrl }))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
}

/** @returns undefined if there is no such shard */
export function setShardState(
  trx: Transaction<Database>,
  { name, state }: { name: string; state: ShardState },
): Promise<ShardEntry | undefined> {
  return trx.updateTable("shards").set({ state }).where("name", "=", name).returning(COLUMNS).executeTakeFirst();
}

/** Removes a shard on which no namespace lives. @returns whether it was removed */
export async function deleteShard(trx: Transaction<Database>, name: string): Promise<boolean> {
  const deleted = await trx
    .deleteFrom("shards")
    .where("name", "=", name)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom("namespaces").select("namespaces.name").where("shard", "=", name))),
    )
    .returning("name")
    .executeTakeFirst();
  return deleted !== undefined;
}

/** Returns the URL of the shard that a namespace lives on; null: it lives on the first one. */
export async function findShardUrl(db: Kysely<Database>, namespace: string): Promise<string | null> {
  const row = await db
    .selectFrom("namespaces")
    .innerJoin("shards", "shards.name", "namespaces.shard")
    .select("shards.url")
    .where("namespaces.name", "=", namespace)
    .executeTakeFirst();
  return row?.url ?? null;
}

/** Counts the namespaces of each shard that has any. */
export async function countNamespaces(db: Kysely<Database>): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom("namespaces")
    .select(["shard", ({ fn }) => fn.countAll<bigint>().as("count")])
    .groupBy("shard")
    .execute();
  return new Map(rows.map(({ shard, count }) => [shard, Number(count)]));
}

/**
 * Returns the shard for a new namespace: the open one with the fewest namespaces, the first shard before others. Takes
 * the lock of lockPlacement.
 *
 * @param avoid shards, besides the first one, that do not count as open
 */
export async function placeNamespace(
  trx: Transaction<Database>,
  avoid: ReadonlySet<string> = new Set(),
): Promise<string> {
  await lockPlacement(trx);
  const shards = await readShards(trx);
  if (shards.length === 0) return HOME_SHARD;
  const counts = await countNamespaces(trx);
  const isOpen = ({ name, state }: ShardEntry) => state === "open" && !avoid.has(name);
  const open = [HOME_SHARD, ...shards.filter(isOpen).map(({ name }) => name)];
  const countOf = (name: string) => counts.get(name) ?? 0;
  return open.reduce((best, name) => (countOf(name) < countOf(best) ? name : best));
}
