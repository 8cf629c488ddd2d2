import { access, constants } from "node:fs/promises";
import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { addDatabaseOptions, serverFlags } from "../options/server-flags.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { TransferProgress } from "../output/transfer-progress.ts";
import { UsageError } from "../options/usage-error.ts";
import { reportError } from "../report-error.ts";

export function addImport(program: Command): void {
  const command = program
    .command("import")
    .description("Write the tasks of files of spool export into a database")
    .argument("<file...>", "Files of spool export, compressed or not");
  addDatabaseOptions(command)
    .option("--quiet", "Report no progress")
    .action(async (files: string[], { quiet = false }: { quiet?: boolean }, command: Command) => {
      const { json = false } = command.optsWithGlobals<GlobalFlags>();
      try {
        process.exitCode = await importFiles(files, serverFlags(command), { json, isQuiet: quiet });
      } catch (error) {
        process.exitCode = reportError(error, { json });
      }
    });
}

async function importFiles(
  files: readonly string[],
  flags: Record<string, string | undefined>,
  { json, isQuiet }: { json: boolean; isQuiet: boolean },
): Promise<number> {
  await requireReadable(files);
  const { importArchives } = await import("../../server/import/import-archives.ts");
  const progress = new TransferProgress("imported", { json, isQuiet });
  const counts = await importArchives(files, { flags, onProgress: (now) => progress.update(now) });
  const { tasks, events, skipped, withoutRequestId } = counts;
  if (withoutRequestId > 0) {
    const lines = [`${withoutRequestId} tasks were imported without their request_id, which has started another task`];
    writeNotice({ json, lines, fields: { notice: "without_request_id", tasks: withoutRequestId } });
  }
  const line = `${tasks} tasks and ${events} events imported, ${skipped} tasks existed already`;
  await writeOut(
    json ? `${jsonText({ tasks, events, skipped, without_request_id: withoutRequestId })}\n` : `${line}\n`,
  );
  return EXIT.succeeded;
}

async function requireReadable(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await access(file, constants.R_OK).catch((error: unknown) => {
      throw new UsageError((error as Error).message, { cause: error });
    });
  }
}
