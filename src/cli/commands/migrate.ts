import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { collect } from "../options/option-values.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";
import { addDatabaseOptions, serverFlags } from "../options/server-flags.ts";
import type { GlobalFlags } from "../options/settings.ts";

export function addMigrate(program: Command): void {
  const command = program.command("migrate").description("Migrate the database to the schema of this version");
  addDatabaseOptions(command)
    .option("--kinds <file>", "Module of spool serve --kinds whose tables to migrate. Can be repeated.", collect)
    .action(async ({ kinds = [] }: { kinds?: string[] }, command: Command) => {
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await migrate(command, { json, kindFiles: kinds });
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}

async function migrate(command: Command, { json, kindFiles }: { json: boolean; kindFiles: string[] }): Promise<number> {
  const { migrateDatabase } = await import("../../server/migrate.ts");
  const { applied, version } = await migrateDatabase({ flags: serverFlags(command), kindFiles });
  const done = applied.length === 0 ? "nothing to migrate" : `applied ${applied.join(", ")}`;
  await writeOut(json ? `${jsonText({ applied, version })}\n` : `${done}; schema version ${version}\n`);
  return EXIT.succeeded;
}
