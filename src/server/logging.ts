import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import pretty from "pino-pretty";

/** What must not be in a log, wherever in a line it turns up. */
const SECRETS = [
  "authorization",
  "token",
  "apiKey",
  "api_key",
  "modelApiKey",
  "databaseUrl",
  "connectionString",
  "password",
];
const STDERR = 2;

/**
 * Opens the log: JSON, one object a line, or lines for people where stderr is a terminal. Standard output is left to
 * what the command answers.
 *
 * @param level trace, debug, info, warn, error, fatal or silent
 * @param destination instead of stderr
 */
export function openLog({ level, destination }: { level: string; destination?: DestinationStream }): Logger {
  const redact = { paths: SECRETS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: "[redacted]" };
  return pino({ level, redact }, destination ?? toStderr());
}

function toStderr(): DestinationStream {
  // Written at once: the lines before a crash are those that are needed.
  return process.stderr.isTTY ? pretty({ destination: STDERR, sync: true }) : pino.destination(STDERR);
}
