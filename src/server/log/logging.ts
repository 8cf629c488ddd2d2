import { hostname } from "node:os";
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import { LogDestination } from "./log-destination.ts";
import type { LogLevel } from "./log-level.ts";
import { linesForPeople, takesColours } from "./log-lines.ts";
import { redaction } from "./redaction.ts";

interface LogOptions {
  level: LogLevel;
  /** Whose tasks the server runs. Every line says so, besides the machine and the process. */
  namespace: string;
  /** What is masked wherever it turns up, besides what looks like a secret. */
  secrets?: readonly string[];
  /** Takes each line, with its end. */
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
        msg: (said: unknown) => text(String(said)), // Of a line without one it is what its error has for a message.
        err: (masked: unknown) => masked, // Made by then, with the other fields.
      },
    },
    destination,
  );
  // Pino does not format what a child is bound to.
  const { child } = log;
  log.child = function (this: Logger, bindings: object, options: object) {
    return child.call(this, fields(bindings), options);
  } as typeof child;
  return log;
}

/** The moment, as a line has it. Many lines are of one millisecond: it is put in words once. */
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

/** The log of this process, on stderr: standard output is left to what the command answers. */
export function openProcessLog({
  format,
  ...options
}: Omit<LogOptions, "destination"> & { format: Configuration["logFormat"] }): Logger {
  // To ask also opens it, and Node opens a pipe so that a write to one that is full fails, and does not wait.
  const isTerminal = process.stderr.isTTY;
  const isPretty = format === "pretty" || (format === "auto" && isTerminal);
  const toLine = isPretty ? linesForPeople({ isColoured: takesColours() }) : undefined;
  const destination = new LogDestination(STDERR, { isGathered: !isTerminal, toLine });
  const log = openLog({ ...options, destination });
  destination.onLost = (lines) => log.warn({ lines }, "lines of the log were lost: nobody took them in time");
  return log;
}
