import { hasEmbedded } from "../store/connection/embedded.ts";
import { databaseLocation, openDatabase } from "../store/database.ts";
import type { Store } from "../store/database.ts";
import { migrate, planMigration, requireCurrentSchema } from "../store/migrate.ts";
import { readShards } from "../store/access/shards.ts";
import type { MigrationPlan } from "../store/stages/migration-plan.ts";
import { readConfiguration } from "./config/configuration.ts";
import { loadKinds } from "./config/load-kinds.ts";
import type { LoadedKinds } from "./config/load-kinds.ts";
import { asCommandError } from "./database-watch.ts";
import { migrationNotices } from "./migration-report.ts";
import type { MigrationNotice } from "./migration-report.ts";
import { migratePackages, planPackages } from "./served-kinds.ts";

export { SCHEMA_VERSION } from "../store/migrate.ts";
export type { MigrationPlan } from "../store/stages/migration-plan.ts";
export type { MigrationNotice } from "./migration-report.ts";

/** The database to migrate. */
export interface MigrationTarget {
  flags: Record<string, string | undefined>;
  /** Modules that export kinds or packages of kinds. */
  kindFiles: readonly string[];
}

/**
 * Brings the configured database and the other shards of its service to this program's schema, unless a newer program has
 * migrated them, and applies the steps of packages of kinds.
 *
 * @param options `waitMs`: how long to wait for another migration, and for the lock of each stage; default 10 minutes
 * @returns the steps that were applied now, and the schema that the database is at
 * @throws ConfigurationError, DatabaseTooNew, DatabaseDiverged, KindsTooOld, StoreUnavailable, MigrationBlocked
 */
export function migrateDatabase(
  target: MigrationTarget,
  { waitMs, onNotice = () => {} }: { waitMs?: number | undefined; onNotice?: (notice: MigrationNotice) => void } = {},
): Promise<{ applied: string[]; version: string }> {
  return withDatabase(target, async (store, loaded) => {
    const options = { onEvent: migrationNotices(onNotice), ...(waitMs !== undefined && { waitMs }) };
    const applied = [...(await migrate(store.db, options)), ...(await migratePackages(store, loaded))];
    const { newest: version } = await requireCurrentSchema(store.db);
    for (const { name, url } of await readShards(store.db)) {
      await using shard = await openShard(url);
      const onShard = [...(await migrate(shard.db, options)), ...(await migratePackages(shard, loaded))];
      applied.push(...onShard.map((step) => `${name}: ${step}`));
    }
    return { applied, version };
  });
}

/**
 * Returns what `migrateDatabase` would do, and changes nothing.
 *
 * @returns the missing steps of the schema, and those of packages of kinds as `package/step`
 * @throws ConfigurationError, DatabaseTooNew, DatabaseDiverged, KindsTooOld, StoreUnavailable
 */
export async function planDatabase(target: MigrationTarget): Promise<{ plan: MigrationPlan; kinds: string[] }> {
  const { databaseUrl, dataDir } = readConfiguration({ flags: target.flags });
  // To open an embedded database creates it.
  if (databaseUrl === null && !hasEmbedded(dataDir)) {
    const loaded = await loadKinds(target.kindFiles);
    return { plan: await planMigration(null), kinds: await planPackages(null, loaded) };
  }
  return withDatabase(target, async (store, loaded) => ({
    plan: await planMigration(store.db),
    kinds: await planPackages(store, loaded),
  }));
}

async function openShard(url: string): Promise<Pick<Store, "db"> & AsyncDisposable> {
  const { db, close } = await openDatabase({ url });
  return { db, [Symbol.asyncDispose]: close };
}

async function withDatabase<Result>(
  { flags, kindFiles }: MigrationTarget,
  work: (store: Store, loaded: LoadedKinds) => Promise<Result>,
): Promise<Result> {
  const configuration = readConfiguration({ flags });
  const loaded = await loadKinds(kindFiles);
  const store = await openDatabase(databaseLocation(configuration));
  try {
    return await work(store, loaded);
  } catch (error) {
    throw asCommandError(error);
  } finally {
    await store.close();
  }
}
