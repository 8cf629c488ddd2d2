import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { showLines } from "../follow/follow-task.ts";
import { pageJson } from "../output/json-shapes.ts";
import { parseCount, parseDuration, parseSeq } from "../options/option-values.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { resolveTaskId } from "../options/task-id.ts";

interface EventsOptions {
  fromSeq?: bigint;
  limit?: number;
  wait?: number;
}

export function addEvents(program: Command): void {
  program
    .command("events")
    .description("print one page of a task's tape")
    .argument("<task-id>", "or the first 8 characters of it or more")
    .option("--from-seq <seq>", "the first event of the page (default: 1)", parseSeq)
    .option("--limit <n>", "how many events at the most, up to 1000 (default: 100)", parseCount)
    .option("--wait <duration>", "how long to wait for an event where there is none, up to 60s", parseDuration)
    .action((taskId: string, options: EventsOptions, command: Command) =>
      withSession(command, (session) => events(session, taskId, options)),
    );
}

async function events({ client, json, commandLine }: Session, named: string, options: EventsOptions): Promise<number> {
  const { fromSeq, limit, wait: waitMs } = options;
  const taskId = await resolveTaskId(client, named);
  const page = await client.events({ taskId, fromSeq, limit, waitMs });
  if (json) {
    await writeOut(`${jsonText(pageJson(page))}\n`);
    return EXIT.succeeded;
  }
  await showLines(page);
  if (page.hasMore) {
    const more = commandLine("events", taskId, "--from-seq", String(page.nextFromSeq));
    writeNotice({ json, lines: [`there is more:  ${more}`], fields: {} });
  }
  return EXIT.succeeded;
}
