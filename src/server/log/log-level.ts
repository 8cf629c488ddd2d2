import type { Logger } from "pino";

/** The log levels, from most to least verbose. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Changes the level of a log and of all its children: a child of a pino logger has no level of its own unless one was
 * set. Logs the change at info, whatever the levels are.
 *
 * @param log the root logger, not a child
 * @param by what requested the change
 */
export function changeLogLevel(log: Logger, level: LogLevel, { by }: { by: string }): void {
  const before = log.level;
  if (level === before) return;
  log.level = "info";
  log.info({ from: before, to: level, by }, "log: level changed");
  log.level = level;
}

/**
 * Returns the level that one signal switches to: from the configured level to a more verbose one, and from any other
 * level back. So two signals restore the level, and no number of signals silences a server.
 *
 * @param configured the level at start. If it is debug or trace, the more verbose level is trace
 */
export function toggledLevel(current: string, configured: LogLevel): LogLevel {
  if (current !== configured) return configured;
  return configured === "debug" || configured === "trace" ? "trace" : "debug";
}
