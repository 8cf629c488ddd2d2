import { Option } from "commander";
import type { Command } from "commander";
import { headerLine } from "../../archive/archive-lines.ts";
import type { ArchiveHeader, AskedTasks } from "../../archive/archive-lines.ts";
import { ArchiveWriter } from "../../archive/archive-writer.ts";
import { EXIT } from "../exit-codes.ts";
import { openFile, standardOutput } from "../export/export-output.ts";
import { exportTasks } from "../export/export-tasks.ts";
import type { ExportCounts } from "../export/export-tasks.ts";
import { findResumePoint } from "../export/resume-export.ts";
import { checkTimeOrAge, collect, collectLabel, resolveTime } from "../options/option-values.ts";
import { UsageError } from "../options/usage-error.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { TransferProgress } from "../output/transfer-progress.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";

const FORMATS = ["zstd", "jsonl"] as const;

interface ExportFlags {
  since?: string;
  until?: string;
  kind?: string[];
  label?: Record<string, string>;
  output?: string;
  format?: (typeof FORMATS)[number];
  quiet?: true;
}

export function addExport(program: Command): void {
  program
    .command("export")
    .description("Write ended tasks with their tapes to a file, which spool import reads")
    .option(
      "--since <time>",
      "Only tasks that ended at or after this time: an ISO 8601 time, or a duration before now, such as 24h",
      checkTimeOrAge,
    )
    .option(
      "--until <time>",
      "Only tasks that ended before this time (default: the start of the export)",
      checkTimeOrAge,
    )
    .option("--kind <kind>", "Only tasks of this kind. Can be repeated; any of the kinds matches.", collect)
    .option("--label <key=value>", "Only tasks with this label. Can be repeated; all labels must match.", collectLabel)
    .option(
      "--output <file>",
      "File to write (default: standard output). If the file is of an interrupted export with the same arguments, the export continues.",
    )
    .addOption(
      new Option(
        "--format <format>",
        "zstd: compressed lines of JSON; jsonl: the plain lines (default: zstd, and jsonl if the file ends in .jsonl)",
      ).choices(FORMATS),
    )
    .option("--quiet", "Report no progress")
    .action((flags: ExportFlags, command: Command) => runCommand(command, (context) => exportTo(context, flags)));
}

async function exportTo({ client, json }: CommandContext, flags: ExportFlags): Promise<number> {
  const { output, quiet: isQuiet = false } = flags;
  const asked: AskedTasks = {
    since: flags.since ?? null,
    until: flags.until ?? null,
    kinds: flags.kind ?? [],
    labels: flags.label ?? {},
  };
  const isCompressed = (flags.format ?? (output?.endsWith(".jsonl") === true ? "jsonl" : "zstd")) === "zstd";
  if (output === undefined && isCompressed && process.stdout.isTTY) {
    throw new UsageError("the output is compressed, for no terminal: give --output FILE or --format jsonl");
  }
  const point = output === undefined ? null : await findResumePoint(output, { asked, isCompressed });
  const header = point?.header ?? newHeader(asked);
  const counts: ExportCounts = { tasks: 0, events: 0, ...point?.counts, unfinished: 0, removed: 0 };
  if (point?.isComplete === true) {
    writeNotice({ json, lines: [`${output} is complete: nothing is left to export`], fields: { notice: "complete" } });
  } else {
    const target = output === undefined ? standardOutput() : await openFile(output, point?.offset ?? 0);
    const writer = new ArchiveWriter((bytes) => target.write(bytes), { isCompressed });
    if (point === null) {
      // A frame of its own, so that an export that is killed at any moment can be resumed.
      await writer.add(headerLine(header));
      await writer.flush();
    } else {
      await writer.add(point.lines);
      const { tasks, events } = point.counts;
      const line = `${output} has ${tasks} tasks and ${events} events: the export continues`;
      writeNotice({ json, lines: [line], fields: { notice: "resumed", tasks, events } });
    }
    const progress = new TransferProgress("exported", { json, isQuiet });
    const onProgress = (now: Readonly<ExportCounts>) => progress.update(now);
    await exportTasks(client, { header, writer, lastTaskId: point?.lastTaskId ?? null, counts, onProgress });
    await target.finish();
  }
  await report(counts, { json, isToFile: output !== undefined, until: header.until });
  return EXIT.succeeded;
}

/** Without `--until`, tasks that end after the start of the export are left out, also when it is resumed. */
function newHeader(asked: AskedTasks): ArchiveHeader {
  const startedAt = new Date();
  return {
    asked,
    startedAt,
    since: asked.since === null ? null : resolveTime(asked.since, startedAt),
    until: asked.until === null ? startedAt : resolveTime(asked.until, startedAt),
  };
}

/** Reports on standard output, or on stderr if the tasks are on standard output. */
async function report(
  counts: ExportCounts,
  { json, isToFile, until }: { json: boolean; isToFile: boolean; until: Date },
): Promise<void> {
  const { tasks, events, unfinished, removed } = counts;
  if (unfinished > 0) {
    const lines = [`${unfinished} tasks that had not ended by ${until.toISOString()} were left out`];
    writeNotice({ json, lines, fields: { notice: "unfinished", tasks: unfinished } });
  }
  if (removed > 0) {
    const lines = [`${removed} tasks that were removed during the export were left out`];
    writeNotice({ json, lines, fields: { notice: "removed", tasks: removed } });
  }
  const line = `${tasks} tasks and ${events} events exported`;
  if (!isToFile) writeNotice({ json, lines: [line], fields: { notice: "exported", tasks, events } });
  else await writeOut(json ? `${jsonText({ tasks, events, unfinished, removed })}\n` : `${line}\n`);
}
