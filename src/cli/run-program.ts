import { CommanderError } from "commander";
import { EXIT } from "./exit-codes.ts";
import { buildProgram } from "./program.ts";
import { reportError } from "./report-error.ts";

// Importing this file runs the command in process.argv.

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
}

function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.succeeded; // --help and --version throw too.
    if (error.code === "commander.help") return EXIT.usage; // Commander has printed the help.
  }
  return reportError(error, { json: process.argv.includes("--json") });
}
