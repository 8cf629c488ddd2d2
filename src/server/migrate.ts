import { StoreUnavailable } from "../domain/errors.ts";
import { databaseLocation, openDatabase } from "../store/database.ts";
import { migrate, SCHEMA_VERSION } from "../store/migrate.ts";
import { readConfiguration } from "./config/configuration.ts";
import { asConfigurationError } from "./database-watch.ts";

/**
 * Brings the configured database to this program's schema.
 *
 * @returns the steps that were applied now, and the schema that the database is at
 * @throws ConfigurationError, DatabaseTooNew, StoreUnavailable
 */
export async function migrateDatabase({
  flags,
}: {
  flags: Record<string, string | undefined>;
}): Promise<{ applied: string[]; version: string }> {
  const store = await openDatabase(databaseLocation(readConfiguration({ flags })));
  try {
    return { applied: await migrate(store.db), version: SCHEMA_VERSION };
  } catch (error) {
    // The command line prints the message alone, and what the driver says is what helps.
    const cause = error instanceof StoreUnavailable && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    const known = asConfigurationError(error);
    throw known === error && cause !== "" ? new Error(`${(error as Error).message}${cause}`, { cause: error }) : known;
  } finally {
    await store.close();
  }
}
