import { Command } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { ADDRESS_DEFAULT } from "../client/transport/address.ts";
import { addCancel } from "./commands/cancel.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvents } from "./commands/events.ts";
import { addFollow } from "./commands/follow.ts";
import { addGet } from "./commands/get.ts";
import { addList } from "./commands/list.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addResult } from "./commands/result.ts";
import { addServe } from "./commands/serve.ts";
import { addStart } from "./commands/start.ts";

/** In the order in which the help lists them. */
const COMMANDS = [
  addServe,
  addStart,
  addFollow,
  addEvents,
  addResult,
  addCancel,
  addGet,
  addList,
  addMigrate,
  addDoctor,
];

const ENDING = `
A flag counts before the environment (SPOOL_ADDRESS, SPOOL_TOKEN, SPOOL_CONFIG), that before the file, that before
the default.

Exit codes:
    0  the task succeeded, or the command did what it was told
    1  the task failed, or the server was not reached or refused the call; or doctor has found a failure
    2  the command line or a file that it names is wrong
    3  Ctrl-C: the command let go of the task, which keeps running
  124  the command's own --timeout ran out; the task keeps running
  130  the task was cancelled`;

/** The command line. What is wrong with it throws CommanderError; the commands set process.exitCode. */
export function buildProgram(): Command {
  const program = new Command("spool")
    .description("Runs long tasks and records each on a tape.")
    .version(manifest.version)
    .option("--address <host:port>", `where the server is (default: ${ADDRESS_DEFAULT})`)
    .option("--token <token>", "what the server asks for; better in SPOOL_TOKEN, where ps does not show it")
    .option("--json", "JSON on standard output and nothing else there; errors as JSON on stderr")
    .option("--config <file>", "a JSON file with settings")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} }) // What went wrong is told in one place, and once.
    .addHelpText("after", ENDING)
    .exitOverride();
  for (const add of COMMANDS) add(program);
  return program;
}
