import { StoreUnavailable } from "../domain/errors.ts";
import { databaseLocation, openDatabase } from "../store/database.ts";
import { migrate, requireCurrentSchema } from "../store/migrate.ts";
import { readConfiguration } from "./config/configuration.ts";
import { loadKinds } from "./config/load-kinds.ts";
import { asConfigurationError } from "./database-watch.ts";
import { migratePackages } from "./served-kinds.ts";

export { SCHEMA_VERSION } from "../store/migrate.ts";

/**
 * Brings the configured database to this program's schema, unless a newer program has migrated it, and applies the steps of packages of kinds.
 *
 * @param kindFiles modules that export kinds or packages of kinds
 * @returns the steps that were applied now, and the schema that the database is at
 * @throws ConfigurationError, DatabaseTooNew, DatabaseDiverged, KindsTooOld, StoreUnavailable
 */
export async function migrateDatabase({
  flags,
  kindFiles,
}: {
  flags: Record<string, string | undefined>;
  kindFiles: readonly string[];
}): Promise<{ applied: string[]; version: string }> {
  const configuration = readConfiguration({ flags });
  const loaded = await loadKinds(kindFiles);
  const store = await openDatabase(databaseLocation(configuration));
  try {
    const applied = [...(await migrate(store.db)), ...(await migratePackages(store, loaded))];
    const { newest: version } = await requireCurrentSchema(store.db);
    return { applied, version };
  } catch (error) {
    // The command line prints only the message, so the message includes the driver's error.
    const cause = error instanceof StoreUnavailable && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    const known = asConfigurationError(error);
    throw known === error && cause !== "" ? new Error(`${(error as Error).message}${cause}`, { cause: error }) : known;
  } finally {
    await store.close();
  }
}
