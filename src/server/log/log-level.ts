import type { Logger } from "pino";

/** From all that there is to nothing. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Changes what a log writes, and with it every child that was made of it, before and after: a child of pino's has no
 * level of its own unless it was given one. The change is a line at info, which is written whatever the levels are.
 *
 * @param log the one that was opened, not a child
 * @param by what asked for it
 */
export function changeLogLevel(log: Logger, level: LogLevel, { by }: { by: string }): void {
  const before = log.level;
  if (level === before) return;
  log.level = "info";
  log.info({ from: before, to: level, by }, "the log level was changed");
  log.level = level;
}

/**
 * What one signal changes the level to: from what is configured to more, and from anything else back. Sent twice it
 * leaves no trace, and no number of signals silences a server, as stepping through the levels would.
 *
 * @param configured what the server began with; where that is debug or trace already, more of it is trace
 */
export function toggledLevel(current: string, configured: LogLevel): LogLevel {
  if (current !== configured) return configured;
  return configured === "debug" || configured === "trace" ? "trace" : "debug";
}
