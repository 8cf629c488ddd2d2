import type { Logger } from "pino";
import { StoreUnavailable } from "../domain/errors.ts";
import type { PoolWatch } from "../store/connection/pool-metrics.ts";
import { DatabaseMisconfigured, NotWritable } from "../store/connection/session-check.ts";
import { PoolerHoldsNoLock } from "../store/stages/migration-lock.ts";
import { ConfigurationError } from "./config/configuration.ts";

/** Logs when connections to the database are dropped or exhausted, once per episode. */
export function databaseWatch(log: Logger): PoolWatch {
  return {
    dropped: (reason, error) =>
      log.warn(
        { reason, ...(error && { err: error }) },
        "database: connections dropped, no longer connected to the primary",
      ),
    exhausted: ({ connectionsMax, waiting }) =>
      log.warn(
        { connections_max: connectionsMax, waiting },
        "database: connections exhausted, new calls get OVERLOADED and open streams wait",
      ),
  };
}

/** Converts an error that only the operator of the database can fix to a ConfigurationError; returns others unchanged. */
export function asConfigurationError(error: unknown): unknown {
  if (error instanceof PoolerHoldsNoLock) return new ConfigurationError([`SPOOL_DATABASE_URL: ${error.message}`]);
  if (!(error instanceof StoreUnavailable) || !(error.cause instanceof DatabaseMisconfigured)) return error;
  return new ConfigurationError([`SPOOL_DATABASE_URL: ${error.cause.message}`]);
}

/**
 * Converts an error for the command line, which prints only its message: a ConfigurationError if only the operator of
 * the database can fix it, else an error whose message includes that of the driver.
 */
export function asCommandError(error: unknown): unknown {
  const known = asConfigurationError(error);
  const cause = error instanceof StoreUnavailable && error.cause instanceof Error ? error.cause.message : "";
  if (known !== error || cause === "") return known;
  return new Error(`${(error as Error).message}: ${cause}`, { cause: error });
}

/** Returns why the database cannot be used, as a text for callers without a token. */
export function unusableReason(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof NotWritable) return cause.message;
    if (cause instanceof DatabaseMisconfigured) return "the database does not match the configuration: see the log";
  }
  return "the database cannot be reached";
}
