import type { Logger } from "pino";
import { StoreUnavailable } from "../domain/errors.ts";
import type { PoolWatch } from "../store/connection/pool-metrics.ts";
import { DatabaseMisconfigured, NotWritable } from "../store/connection/session-check.ts";
import { ConfigurationError } from "./config/configuration.ts";

/** Logs what becomes of the connections to the database, once an episode. */
export function databaseWatch(log: Logger): PoolWatch {
  return {
    dropped: (reason, error) =>
      log.warn(
        { reason, ...(error && { err: error }) },
        "database: connections dropped, they no longer lead to the primary",
      ),
    exhausted: ({ connectionsMax, waiting }) =>
      log.warn(
        { connections_max: connectionsMax, waiting },
        "database: all connections are taken, new calls are answered OVERLOADED and open streams wait",
      ),
  };
}

/** What is wrong with the configured database, where only its operator can change that; any other error as it is. */
export function asConfigurationError(error: unknown): unknown {
  if (!(error instanceof StoreUnavailable) || !(error.cause instanceof DatabaseMisconfigured)) return error;
  return new ConfigurationError([`SPOOL_DATABASE_URL: ${error.cause.message}`]);
}

/** Why the database cannot be used, in words that a caller without a token may read. */
export function unusableReason(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof NotWritable) return cause.message;
    if (cause instanceof DatabaseMisconfigured) return "the database does not fit the configuration: the log says why";
  }
  return "the database cannot be reached";
}
