import type { Command } from "commander";
import { PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import { EXIT } from "../exit-codes.ts";
import { showLines } from "../follow/follow-task.ts";
import { pageJson } from "../output/json-shapes.ts";
import { parseCount, parseDuration, parseSeq } from "../options/option-values.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";

interface EventsOptions {
  fromSeq?: bigint;
  limit?: number;
  wait?: number;
  folded?: true;
}

export function addEvents(program: Command): void {
  program
    .command("events")
    .description("Print one page of a task's tape")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .option("--from-seq <seq>", "Seq of the first event of the page (default: 1)", parseSeq)
    .option(
      "--limit <n>",
      `Maximum number of events, up to ${PAGE_EVENTS_MAX} (default: ${PAGE_EVENTS_DEFAULT})`,
      parseCount,
    )
    .option(
      "--wait <duration>",
      "How long to wait for an event if the page is empty, up to 60s (default: 0)",
      parseDuration,
    )
    .option("--folded", "Show consecutive partials of a series as one event, with the text that they form")
    .action((taskId: string, options: EventsOptions, command: Command) =>
      runCommand(command, (context) => events(context, taskId, options)),
    );
}

async function events(
  { client, json, commandLine }: CommandContext,
  idOrPrefix: string,
  options: EventsOptions,
): Promise<number> {
  const { fromSeq, limit, wait: waitMs, folded } = options;
  const taskId = await resolveTaskId(client, idOrPrefix);
  const page = await client.events({ taskId, fromSeq, limit, waitMs, view: folded ? "folded" : "recorded" });
  if (json) {
    await writeOut(`${jsonText(pageJson(page))}\n`);
    return EXIT.succeeded;
  }
  await showLines(page);
  if (page.hasMore) {
    const flags = folded ? ["--folded"] : [];
    const next = commandLine("events", taskId, "--from-seq", String(page.nextFromSeq), ...flags);
    writeNotice({ json, lines: [`next page:  ${next}`], fields: {} });
  }
  return EXIT.succeeded;
}
