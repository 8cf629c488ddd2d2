import packageJson from "../../package.json" with { type: "json" };
import type { Logger } from "pino";
import type { ShardEntry } from "../domain/shard.ts";
import { openSharedParts } from "../engine/namespaces/shared-parts.ts";
import { Shards } from "../engine/namespaces/shards.ts";
import type { ShardParts } from "../engine/namespaces/shards.ts";
import { openDatabase } from "../store/database.ts";
import type { Store } from "../store/database.ts";
import { migrate, requireCurrentSchema, SCHEMA_VERSION } from "../store/migrate.ts";
import type { Configuration } from "./config/configuration.ts";
import type { LoadedKinds } from "./config/load-kinds.ts";
import { databaseWatch } from "./database-watch.ts";
import { migrationLog } from "./migration-report.ts";
import { migratePackages, requirePackages } from "./served-kinds.ts";

/**
 * Opens the shards of a server. Each has a pool of connections of its own, and all use the slots together.
 *
 * @param parts.store the first shard, whose schema the server prepares itself
 */
export function openShards(parts: {
  configuration: Configuration;
  store: Store;
  loaded: LoadedKinds;
  log: Logger;
}): Shards {
  const { configuration, store, loaded, log } = parts;
  const { standbyUrl } = configuration;
  const shared = openSharedParts({ store, standbyUrl, settings: configuration, log });
  const { budget } = shared;
  const home: ShardParts = { store, shared, prepare: () => Promise.resolve() };
  const open = async ({ name, url, ...entry }: ShardEntry): Promise<ShardParts> => {
    const ofShard = log.child({ shard: name });
    const opened = await openDatabase({ url }, databaseWatch(ofShard));
    let prepared: Promise<void> | null = null;
    return {
      store: opened,
      shared: openSharedParts({
        store: opened,
        standbyUrl: entry.standbyUrl,
        settings: configuration,
        budget,
        log: ofShard,
      }),
      prepare() {
        prepared ??= prepareSchema(opened, { configuration, loaded, log: ofShard }).catch((error: unknown) => {
          prepared = null;
          throw error;
        });
        return prepared;
      },
    };
  };
  return new Shards(home, { open, log });
}

/**
 * Migrates the database if the settings allow it, and checks that this program may run on it.
 *
 * @throws StoreUnavailable, DatabaseTooOld, DatabaseTooNew, DatabaseDiverged, KindsTooOld, KindsNotMigrated
 */
export async function prepareSchema(
  store: Store,
  { configuration, loaded, log }: { configuration: Configuration; loaded: LoadedKinds; log: Logger },
): Promise<void> {
  if (configuration.migrate) {
    const onEvent = migrationLog(log);
    const applied = [...(await migrate(store.db, { onEvent })), ...(await migratePackages(store, loaded))];
    if (applied.length > 0) log.info({ applied }, "database: migrated");
  } else {
    await requirePackages(store, loaded);
  }
  const { newest, isNewer } = await requireCurrentSchema(store.db);
  if (isNewer) {
    const programs = { schema: newest, program_schema: SCHEMA_VERSION, program: packageJson.version };
    log.warn(programs, "database: migrated by a newer program, which allows this program to run");
  }
}
