import { Option } from "commander";
import type { Command } from "commander";
import type { TaskStatus } from "../../client/client.ts";
import { LIST_TASKS_DEFAULT, LIST_TASKS_MAX } from "../../domain/limits.ts";
import { TASK_STATUSES } from "../../domain/task.ts";
import { EXIT } from "../exit-codes.ts";
import { taskJson } from "../output/json-shapes.ts";
import { collect, collectLabel, parseCount } from "../options/option-values.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { taskTable } from "./task-table.ts";
import { listWorkers } from "./list-workers.ts";

interface ListOptions {
  status?: TaskStatus[];
  kind?: string[];
  label?: Record<string, string>;
  limit: number;
  all?: true;
  workers?: true;
}

export function addList(program: Command): void {
  program
    .command("list")
    .description("List tasks, newest first, or with --workers the processes that run tasks")
    .addOption(new Option("--status <status...>", "Only tasks with one of these statuses").choices(TASK_STATUSES))
    .option("--kind <kind>", "Only tasks of this kind. Can be repeated; any of the kinds matches.", collect)
    .option("--label <key=value>", "Only tasks with this label. Can be repeated; all labels must match.", collectLabel)
    .option("--limit <n>", "Maximum number of tasks", parseCount, LIST_TASKS_DEFAULT)
    .option("--all", "List all tasks, without a limit")
    .addOption(
      new Option("--workers", "List the servers and workers instead of tasks").conflicts([
        "status",
        "kind",
        "label",
        "all",
      ]),
    )
    .action((options: ListOptions, command: Command) =>
      runCommand(command, (context) => (options.workers ? listWorkers(context) : list(context, options))),
    );
}

async function list({ client, json }: CommandContext, options: ListOptions): Promise<number> {
  const { status: statuses, kind: kinds, label: labels } = options;
  const limit = options.all ? Infinity : options.limit;
  // One task beyond the limit shows whether there are more.
  const pageSize = Math.min(limit + 1, LIST_TASKS_MAX);
  const table = taskTable(process.stdout.isTTY ? process.stdout.columns : undefined, Date.now());
  let shown = 0;
  for await (const task of client.list({ statuses, kinds, labels, pageSize })) {
    if (shown === limit) {
      const fields = { notice: "more", shown };
      writeNotice({ json, lines: [`more than ${limit} tasks match; to list more, use --limit N or --all`], fields });
      break;
    }
    if (shown++ === 0 && !json) await writeOut(table.heading);
    await writeOut(json ? `${jsonText(taskJson(task))}\n` : table.line(task));
  }
  return EXIT.succeeded;
}
