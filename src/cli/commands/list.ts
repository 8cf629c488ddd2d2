import { Option } from "commander";
import type { Command } from "commander";
import type { Task, TaskStatus } from "../../client/client.ts";
import { LIST_TASKS_DEFAULT, LIST_TASKS_MAX } from "../../domain/limits.ts";
import { TASK_STATUSES } from "../../domain/task.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { taskJson } from "../output/json-shapes.ts";
import { gather, gatherLabel, parseCount } from "../options/option-values.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { tableLine } from "../output/table-line.ts";
import { SHORT_ID_CHARS } from "../options/task-id.ts";
import { listWorkers } from "./list-workers.ts";

interface ListOptions {
  status?: TaskStatus[];
  kind?: string[];
  label?: Record<string, string>;
  limit: number;
  all?: true;
  workers?: true;
}

const HEADINGS = ["TASK", "KIND", "STATUS", "CREATED", "LABELS"];
const WIDTHS = [SHORT_ID_CHARS, 12, 9, 24, 0];

export function addList(program: Command): void {
  program
    .command("list")
    .description("list tasks, newest first, or who runs them")
    .addOption(new Option("--status <status...>", "only tasks in one of these").choices(TASK_STATUSES))
    .option("--kind <kind>", "only tasks of this kind; may be given again", gather)
    .option("--label <key=value>", "only tasks with this label; may be given again: all of them", gatherLabel)
    .option("--limit <n>", "how many", parseCount, LIST_TASKS_DEFAULT)
    .option("--all", "all of them, however many")
    .addOption(
      new Option("--workers", "instead of tasks: the processes that run them").conflicts([
        "status",
        "kind",
        "label",
        "all",
      ]),
    )
    .action((options: ListOptions, command: Command) =>
      withSession(command, (session) => (options.workers ? listWorkers(session) : list(session, options))),
    );
}

async function list({ client, json }: Session, options: ListOptions): Promise<number> {
  const { status: statuses, kind: kinds, label: labels } = options;
  const limit = options.all ? Infinity : options.limit;
  // One more than is shown tells whether there are more.
  const pageSize = Math.min(limit + 1, LIST_TASKS_MAX);
  let shown = 0;
  for await (const task of client.list({ statuses, kinds, labels, pageSize })) {
    if (shown === limit) {
      const fields = { notice: "more", shown };
      writeNotice({ json, lines: [`there are more than ${limit}: --limit N or --all shows them`], fields });
      break;
    }
    if (shown++ === 0 && !json) await writeOut(tableLine(HEADINGS, WIDTHS));
    await writeOut(json ? `${jsonText(taskJson(task))}\n` : tableLine(cells(task), WIDTHS));
  }
  return EXIT.succeeded;
}

function cells({ taskId, kind, status, createdAt, labels }: Task): string[] {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [taskId.slice(0, SHORT_ID_CHARS), kind, status, createdAt.toISOString(), pairs.join(" ")].map(escapeText);
}
