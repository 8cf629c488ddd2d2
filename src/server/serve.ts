import type { Logger } from "pino";
import { databaseLocation, openDatabase } from "../store/database.ts";
import { readConfiguration, secretsOf } from "./config/configuration.ts";
import { databaseWatch } from "./database-watch.ts";
import { loadKinds } from "./config/load-kinds.ts";
import type { LastWords } from "./log/fatal-errors.ts";
import type { LogLevel } from "./log/log-level.ts";
import { logLibraries } from "./log/library-log.ts";
import { openProcessLog } from "./log/logging.ts";
import { openServer } from "./open-server.ts";
import type { RunningServer } from "./open-server.ts";
import { serviceManager } from "./service-manager.ts";
import { telemetryResource } from "./telemetry/resource.ts";
import { startTracing } from "./telemetry/tracing.ts";

/**
 * Starts a server: listeners, engine and database. Also starts while the database is down: calls get UNAVAILABLE until
 * the database can be reached.
 *
 * @param flags settings from the command line, by the names of Configuration; `config` is a file's path
 * @param kindFiles modules that export kinds or packages of kinds, besides echo
 * @param onLog is given the log as soon as it is open, for what happens to the whole process
 * @param onEngine is given, before any task runs, what a process that is about to die can still store
 * @throws ConfigurationError, DatabaseTooNew, DatabaseDiverged, DatabaseTooOld, and where the address or the data folder is taken
 */
export async function serve({
  flags,
  kindFiles,
  onLog,
  onEngine,
}: {
  flags: Record<string, string | undefined>;
  kindFiles: readonly string[];
  onLog?: (log: Logger, configured: LogLevel) => void;
  onEngine?: (lastWords: LastWords) => void;
}): Promise<RunningServer> {
  const configuration = readConfiguration({ flags });
  const { logLevel: level, logFormat: format, namespace } = configuration;
  const log = openProcessLog({ level, format, namespace, secrets: secretsOf(configuration) });
  logLibraries(log);
  onLog?.(log, level);
  const resource = telemetryResource(configuration);
  await using opened = new AsyncDisposableStack();
  const tracing = opened.use(await startTracing({ resource, log }));
  const loaded = await loadKinds(kindFiles);
  const store = await openDatabase(databaseLocation(configuration), databaseWatch(log));
  opened.defer(() => store.close());
  const server = await openServer({ configuration, store, loaded, resource, tracing, log, onEngine });
  opened.move(); // The server closes them when it stops.
  const manager = serviceManager(log);
  manager.ready();
  return {
    ...server,
    stop() {
      manager.stopping();
      return server.stop();
    },
  };
}
