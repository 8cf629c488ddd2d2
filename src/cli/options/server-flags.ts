import type { Command } from "commander";

// The options of the commands that run on the server's configuration. Their values go there as they were written: it
// checks them all, and names every problem at once.

/** Options that are no settings of the server. */
const NO_SETTINGS: ReadonlySet<string> = new Set(["json", "address", "kinds", "timeout"]);

export function addDatabaseOptions(command: Command): Command {
  return command
    .option(
      "--database-url <url>",
      "Postgres to keep everything in; better in SPOOL_DATABASE_URL, where ps does not show it",
    )
    .option("--data-dir <folder>", "where Postgres in process keeps its files (default: ./.spool)");
}

/** What all servers of a service have in common. */
export function addServiceOptions(command: Command): Command {
  return addDatabaseOptions(command)
    .option("--namespace <name>", "whose tasks these are (default: default)")
    .option("--no-notify", "servers on one database find out by looking, not by NOTIFY")
    .option("--cancel-grace-ms <ms>", "how long a cancelled task has to end by itself (default: 5000)")
    .option("--lease-ms <ms>", "how long a silent process keeps its tasks (default: 10000)");
}

export function addServerOptions(command: Command): Command {
  return addServiceOptions(command)
    .option("--host <host>", "where to listen (default: 127.0.0.1); anything but loopback asks for a token")
    .option("--port <port>", "of the gRPC door (default: 50051); 0: any that is free")
    .option("--http-port <port>", "of the HTTP door (default: 8080); 0: any that is free; off: none")
    .option("--http-origins <origins>", "whose pages may call it, besides its own, with commas between")
    .option("--tls-cert <file>", "a certificate in PEM, and those that it rests on: both doors speak TLS")
    .option("--tls-key <file>", "its key")
    .option("--slots <n>", "how many tasks run here at once (default: 64)")
    .option("--unknown-kinds <wait|refuse>", "what becomes of the start of a kind that nobody has (default: wait)")
    .option("--no-metrics", "count and measure nothing: no /metrics, nothing sent by OTLP")
    .option("--no-migrate", "leave the schema of the database as it is")
    .option("--drain-ms <ms>", "how long running tasks have at a shutdown (default: 5000)")
    .option("--crashes-max <n>", "attempts of a task in a row that end with their process, before it does (default: 3)")
    .option("--write-ahead-kib <kib>", "what a stream puts ahead of its reader before it waits (default: 64)")
    .option("--streams-per-connection <n>", "calls and streams open at once on one connection (default: 1000)")
    .option("--follows-per-connection <n>", "streams over many tasks open at once on one connection (default: 256)")
    .option("--waiting-reads <n>", "expensive reads of one connection that wait for their turn (default: 512)")
    .option("--request-timeout-ms <ms>", "how long a request at the HTTP port may take to arrive (default: 30000)")
    .option("--sources-dir <folder>", "folder that kinds may read files below (default: .)")
    .option("--model-base-url <url>", "API of the model that kinds may ask")
    .option("--model <name>", "model that kinds may ask; its key is in SPOOL_MODEL_API_KEY")
    .option("--log-level <level>", "trace, debug, info, warn, error, fatal or silent (default: info)")
    .option("--log-format <format>", "auto, json, or pretty for people (default: auto, pretty on a terminal)");
}

/** What was set on the command line, by the names of the configuration. */
export function serverFlags(command: Command): Record<string, string | undefined> {
  const flags = Object.entries(command.optsWithGlobals<Record<string, unknown>>());
  const set = flags.filter(
    ([name]) => !NO_SETTINGS.has(name) && command.getOptionValueSourceWithGlobals(name) === "cli",
  );
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}
