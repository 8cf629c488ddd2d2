import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { collect, parseDuration } from "../options/option-values.ts";
import { escapeText } from "../output/escape-text.ts";
import { planJson, planLines } from "../output/migration-plan-lines.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";
import { addDatabaseOptions, serverFlags } from "../options/server-flags.ts";
import type { GlobalFlags } from "../options/settings.ts";

interface MigrateFlags {
  kinds?: string[];
  plan?: boolean;
  wait?: number;
}

export function addMigrate(program: Command): void {
  const command = program.command("migrate").description("Migrate the database to the schema of this version");
  addDatabaseOptions(command)
    .option("--kinds <file>", "Module of spool serve --kinds whose tables to migrate. Can be repeated.", collect)
    .option("--plan", "Print the missing steps, and what they lock, without applying them")
    .option(
      "--wait <duration>",
      "How long to wait for another migration, and for the lock of each stage (default: 10m)",
      parseDuration,
    )
    .action(async ({ kinds = [], plan = false, wait }: MigrateFlags, command: Command) => {
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        const target = { flags: serverFlags(command), kindFiles: kinds };
        process.exitCode = await (plan ? printPlan(target, json) : migrate(target, { json, waitMs: wait }));
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}

interface Target {
  flags: Record<string, string | undefined>;
  kindFiles: string[];
}

async function migrate(
  target: Target,
  { json, waitMs }: { json: boolean; waitMs: number | undefined },
): Promise<number> {
  const { migrateDatabase } = await import("../../server/migrate.ts");
  const { applied, version } = await migrateDatabase(target, {
    waitMs,
    onNotice: ({ line, fields }) => writeNotice({ json, lines: [line], fields }),
  });
  const done = applied.length === 0 ? "nothing to migrate" : `applied ${applied.join(", ")}`;
  await writeOut(json ? `${jsonText({ applied, version })}\n` : `${done}; schema version ${version}\n`);
  return EXIT.succeeded;
}

async function printPlan(target: Target, json: boolean): Promise<number> {
  const { planDatabase } = await import("../../server/migrate.ts");
  const { plan, kinds } = await planDatabase(target);
  const lines = json ? [jsonText(planJson(plan, kinds))] : planLines(plan, kinds).map((line) => escapeText(line));
  await writeOut(lines.map((line) => `${line}\n`).join(""));
  return EXIT.succeeded;
}
