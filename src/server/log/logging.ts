import { hostname } from "node:os";
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import { LogDestination } from "./log-destination.ts";
import type { LogLevel } from "./log-level.ts";
import { linesForPeople, supportsColors } from "./log-lines.ts";
import { redaction } from "./redaction.ts";

interface LogOptions {
  level: LogLevel;
  /** The namespace of the server. Every line contains it, with host name and pid. */
  namespace: string;
  /** Texts that are masked everywhere, besides texts that look like a secret. */
  secrets?: readonly string[];
  /** Receives each line, with its line end. */
  destination: DestinationStream;
}

const STDERR = 2;

/**
 * Opens a log of JSON, one object a line: `level` as a word, `time` in UTC with milliseconds, `pid`, `hostname` and
 * `namespace`, the fields of the line, an error with its causes as `err`, and `msg`. Secrets are masked.
 */
export function openLog({ level, namespace, secrets = [], destination }: LogOptions): Logger {
  const { text, fields } = redaction(secrets);
  const log = pino(
    {
      level,
      base: { pid: process.pid, hostname: hostname(), namespace },
      timestamp: timeField(),
      formatters: { level: (label) => ({ level: label }), log: fields },
      serializers: {
        msg: (message: unknown) => text(String(message)), // Without a message, pino passes the error's message.
        err: (masked: unknown) => masked, // The formatter of the fields has masked it.
      },
    },
    destination,
  );
  // Pino does not format the bindings of a child.
  const { child } = log;
  log.child = function (this: Logger, bindings: object, options: object) {
    return child.call(this, fields(bindings), options);
  } as typeof child;
  return log;
}

/** Returns a function that formats the current time. Many lines share a millisecond, so the last text is cached. */
function timeField(): () => string {
  let atMs = 0;
  let field = "";
  return () => {
    const nowMs = Date.now();
    if (nowMs !== atMs) {
      atMs = nowMs;
      field = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return field;
  };
}

/** Opens the log of this process on stderr. Standard output is for the output of the command. */
export function openProcessLog({
  format,
  ...options
}: Omit<LogOptions, "destination"> & { format: Configuration["logFormat"] }): Logger {
  // Reading isTTY also opens stderr. Node opens a pipe as non-blocking: a write to a full pipe fails instead of waiting.
  const isTerminal = process.stderr.isTTY;
  const isPretty = format === "pretty" || (format === "auto" && isTerminal);
  const toLine = isPretty ? linesForPeople({ isColored: supportsColors() }) : undefined;
  const destination = new LogDestination(STDERR, { isBuffered: !isTerminal, toLine });
  const log = openLog({ ...options, destination });
  destination.onLost = (lines) => log.warn({ lines }, "log: lines dropped, the reader is too slow");
  return log;
}
