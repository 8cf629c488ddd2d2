import { openDatabase } from "../../store/database.ts";
import type { Store } from "../../store/database.ts";
import { requireCurrentSchema } from "../../store/migrate.ts";
import { ConfigurationError, readConfiguration } from "../config/configuration.ts";
import { asCommandError } from "../database-watch.ts";

/** Few: these commands run beside servers. */
export const CONNECTIONS_MAX = 4;

/**
 * Does work on the first shard of a service: the configured database, which must be on a server.
 *
 * @param flags settings from the command line
 * @throws ConfigurationError, DatabaseTooOld, DatabaseTooNew, DatabaseDiverged, StoreUnavailable, and what the work throws
 */
export async function withHomeDatabase<Result>(
  flags: Readonly<Record<string, string | undefined>>,
  work: (home: Store) => Promise<Result>,
): Promise<Result> {
  const { databaseUrl } = readConfiguration({ flags });
  if (databaseUrl === null) {
    throw new ConfigurationError(["SPOOL_DATABASE_URL: must be set, because an embedded database has no other shards"]);
  }
  const home = await openDatabase({ url: databaseUrl, connectionsMax: CONNECTIONS_MAX });
  try {
    await requireCurrentSchema(home.db);
    return await work(home);
  } catch (error) {
    throw asCommandError(error);
  } finally {
    await home.close();
  }
}
