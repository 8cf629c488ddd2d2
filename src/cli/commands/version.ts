import type { Command } from "commander";
import manifest from "../../../package.json" with { type: "json" };
import { EXIT } from "../exit-codes.ts";
import { exitOnBrokenPipe, jsonText, writeOut } from "../output/output.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { reportError } from "../report-error.ts";

export function addVersion(program: Command): void {
  program
    .command("version")
    .description("Print the versions of this program, of its database schema and of Node")
    .action(async (_options: object, command: Command) => {
      exitOnBrokenPipe();
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await version(json);
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}

async function version(json: boolean): Promise<number> {
  const { SCHEMA_VERSION } = await import("../../server/migrate.ts");
  const versions = { spool: manifest.version, schema: SCHEMA_VERSION, node: process.versions.node };
  const lines = Object.entries(versions).map(([name, text]) => `${name.padEnd(6)}  ${text}\n`);
  await writeOut(json ? `${jsonText(versions)}\n` : lines.join(""));
  return EXIT.succeeded;
}
