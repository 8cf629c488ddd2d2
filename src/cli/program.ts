import { Command } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { ADDRESS_DEFAULT } from "../client/transport/address.ts";
import { addCancel } from "./commands/cancel.ts";
import { addCompletion } from "./commands/completion.ts";
import { addComplete } from "./commands/complete.ts";
import { addContext } from "./commands/context.ts";
import { addInit } from "./commands/init.ts";
import { addOpen } from "./commands/open.ts";
import { addVersion } from "./commands/version.ts";
import { addDelete } from "./commands/delete.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvents } from "./commands/events.ts";
import { addExport } from "./commands/export.ts";
import { addFollow } from "./commands/follow.ts";
import { addGet } from "./commands/get.ts";
import { addHealth } from "./commands/health.ts";
import { addImport } from "./commands/import.ts";
import { addList } from "./commands/list.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addNamespace } from "./commands/namespace.ts";
import { addResult } from "./commands/result.ts";
import { addShard } from "./commands/shard.ts";
import { addServe } from "./commands/serve.ts";
import { addStart } from "./commands/start.ts";
import { addAudit } from "./commands/audit.ts";
import { addTaskToken } from "./commands/task-token.ts";
import { addToken } from "./commands/token.ts";

/** The commands, in the order in which the help lists them. */
const COMMANDS = [
  addServe,
  addStart,
  addFollow,
  addEvents,
  addResult,
  addCancel,
  addDelete,
  addGet,
  addList,
  addOpen,
  addContext,
  addNamespace,
  addShard,
  addToken,
  addTaskToken,
  addAudit,
  addInit,
  addMigrate,
  addExport,
  addImport,
  addDoctor,
  addHealth,
  addCompletion,
  addVersion,
  addComplete,
];

export const HELP_FOOTER = `
Precedence: flag, environment variable, config file, current context, default.
Variables: SPOOL_ADDRESS, SPOOL_TOKEN, SPOOL_CALL_NAMESPACE, SPOOL_CONTEXT,
SPOOL_HTTP_ADDRESS, SPOOL_CONFIG.

Exit codes:
    0  the task succeeded, or the command did its job
    1  the task failed, the server was unreachable or rejected the call,
       or doctor or health found a failure
    2  the command line, a config file or a setting is invalid;
       nothing was done
    3  Ctrl-C: the command detached from the task, which keeps running
  124  the command's own --timeout expired; the task keeps running
  130  the task was cancelled`;

/** Builds the command line. An invalid command line throws CommanderError; the commands set `process.exitCode`. */
export function buildProgram(): Command {
  const program = new Command("spool")
    .description("Run long tasks and record each on a tape.")
    .version(manifest.version, "-V, --version", "Print the version")
    .helpOption("-h, --help", "Print the help")
    .helpCommand("help [command]", "Print the help of a command")
    .option("--address <host:port>", `Server address (default: ${ADDRESS_DEFAULT})`)
    .option("--token <token>", "Bearer token. Prefer SPOOL_TOKEN, because ps shows flags.")
    .option(
      "--context <context>",
      "Context of the server: see spool context (default: SPOOL_CONTEXT, else the current one)",
    )
    .option(
      "--namespace <name>",
      "Namespace of the calls (default: SPOOL_CALL_NAMESPACE, else the context's). For serve, doctor and import: that of" +
        " the server (default: SPOOL_NAMESPACE, else default).",
    )
    .option("--json", "Print only JSON to standard output, and errors and notices as JSON to stderr")
    .option("--config <file>", "JSON file with settings")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} }) // report-error.ts writes the errors.
    .addHelpText("after", HELP_FOOTER)
    .exitOverride();
  for (const add of COMMANDS) add(program);
  return program;
}
