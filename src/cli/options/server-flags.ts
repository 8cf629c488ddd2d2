import type { Command } from "commander";
import {
  CRASHES_DEFAULT,
  FOLLOWS_PER_CONNECTION_DEFAULT,
  REQUEST_TIMEOUT_MS_DEFAULT,
  STREAMS_PER_CONNECTION_DEFAULT,
  WAITING_READS_DEFAULT,
  WRITE_AHEAD_KIB_DEFAULT,
} from "../../domain/limits.ts";

// The options of the commands that use the server's configuration. Their values are passed on unparsed: the configuration
// validates all of them and reports every problem together.

/** Options that are not settings of the server. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  "json",
  "address",
  "context",
  "kinds",
  "timeout",
  "plan",
  "wait",
  "quiet",
  "url",
  "to",
  "undo",
]);

export function addDatabaseOptions(command: Command): Command {
  return command
    .option(
      "--database-url <url>",
      "Postgres URL (default: an embedded database). Prefer SPOOL_DATABASE_URL, because ps shows flags.",
    )
    .option("--data-dir <folder>", "Folder of the embedded database (default: ./.spool)");
}

/** Adds the settings that all servers of a service share. */
export function addServiceOptions(command: Command): Command {
  return addDatabaseOptions(command)
    .option("--standby-url <url>", "Postgres URL of a standby, for reads (default: none). Prefer SPOOL_STANDBY_URL.")
    .option("--no-notify", "Find other servers' commits by polling once a second instead of by NOTIFY")
    .option("--cancel-grace-ms <ms>", "How long a cancelled task has to end by itself, in ms (default: 5000)")
    .option(
      "--lease-ms <ms>",
      "Lease duration in ms (default: 10000). After it expires, other servers may take the tasks.",
    )
    .option("--retention <duration>", "How long a task is kept after its end, as 12h or 90d, or forever (default: 30d)")
    .option("--retention-by-kind <retentions>", "The same for single kinds, as ingest=7d,audit=forever (default: none)")
    .option(
      "--pack-after <duration>",
      "How long after its end a tape of 50 events or more is packed, which takes less space, or never (default: 10m)",
    );
}

export function addServerOptions(command: Command): Command {
  return addServiceOptions(command)
    .option(
      "--host <host>",
      "Address to listen on (default: 127.0.0.1). Any address but loopback requires credentials.",
    )
    .option("--port <port>", "gRPC port (default: 50051). 0 takes a free port.")
    .option("--http-port <port>", "HTTP port (default: 8080). 0 takes a free port, off serves no HTTP.")
    .option(
      "--http-origins <origins>",
      "Origins whose pages may call the HTTP endpoint, separated by commas (default: none)",
    )
    .option("--tls-cert <file>", "PEM file with the certificate and its chain, for TLS on both ports (default: no TLS)")
    .option("--tls-key <file>", "PEM file with the key of the certificate")
    .option("--tls-client-ca <file>", "PEM file with the authorities of client certificates (default: none)")
    .option(
      "--tls-client-auth <optional|require>",
      "Whether to refuse connections without a client certificate (default: optional)",
    )
    .option("--access-file <file>", "JSON file with tokens, client certificates and issuers of JWTs (default: none)")
    .option(
      "--retention-export <folder>",
      "Folder to which tasks are exported before their retention removes them (default: none)",
    )
    .option("--audit-retention <duration>", "How long acts stay in the audit log, as 90d, or forever (default: 90d)")
    .option("--slots <n>", "How many tasks this server runs at once (default: 64)")
    .option(
      "--unknown-kinds <wait|refuse>",
      "What to do with a start whose kind no server or worker runs (default: wait)",
    )
    .option("--no-metrics", "Record no metrics: /metrics answers 404, and nothing is exported by OTLP")
    .option("--no-migrate", "Do not migrate the schema at start")
    .option("--drain-ms <ms>", "How long running tasks may continue at shutdown, in ms (default: 5000)")
    .option("--crashes-max <n>", `Consecutive crashed attempts after which a task fails (default: ${CRASHES_DEFAULT})`)
    .option(
      "--write-ahead-kib <kib>",
      `Write buffer of a stream in KiB, ahead of its reader (default: ${WRITE_AHEAD_KIB_DEFAULT})`,
    )
    .option(
      "--streams-per-connection <n>",
      `Calls and streams open at once on one connection (default: ${STREAMS_PER_CONNECTION_DEFAULT})`,
    )
    .option(
      "--follows-per-connection <n>",
      `FollowTasks streams open at once on one connection (default: ${FOLLOWS_PER_CONNECTION_DEFAULT})`,
    )
    .option("--waiting-reads <n>", `Queued expensive reads of one connection (default: ${WAITING_READS_DEFAULT})`)
    .option(
      "--request-timeout-ms <ms>",
      `How long a request may take to arrive at the HTTP port, in ms (default: ${REQUEST_TIMEOUT_MS_DEFAULT})`,
    )
    .option("--sources-dir <folder>", "Folder below which kinds may read files (default: .)")
    .option("--model-base-url <url>", "Base URL of an OpenAI-compatible API that kinds may call")
    .option("--model <name>", "Model that kinds may call. The API key is in SPOOL_MODEL_API_KEY.")
    .option("--log-level <level>", "trace, debug, info, warn, error, fatal or silent (default: info)")
    .option(
      "--log-format <auto|json|pretty>",
      "Format of the log (default: auto, which is pretty on a terminal and json elsewhere)",
    );
}

/** Returns the settings that the command line has set, by their names in the configuration. */
export function serverFlags(command: Command): Record<string, string | undefined> {
  const flags = Object.entries(command.optsWithGlobals<Record<string, unknown>>());
  const set = flags.filter(
    ([name]) => !NOT_SETTINGS.has(name) && command.getOptionValueSourceWithGlobals(name) === "cli",
  );
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}
