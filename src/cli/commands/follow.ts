import type { Command } from "commander";
import { followTask } from "../follow/follow-task.ts";
import { followTasks } from "../follow/follow-tasks.ts";
import { collect, collectLabel, parseDuration, parseSeq } from "../options/option-values.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";
import { UsageError } from "../options/usage-error.ts";
import { detach, openWait } from "../follow/wait.ts";

interface FollowOptions {
  fromSeq?: bigint;
  plain?: true;
  folded?: true;
  timeout?: number;
  retry?: number;
  all?: true;
  kind?: string[];
  label?: Record<string, string>;
  fromStart?: true;
  cursor?: string;
}

/** The options for one task and for all tasks, with their flags. Options of the other group are rejected. */
const ONE_TASK_FLAGS = { fromSeq: "--from-seq", plain: "--plain", folded: "--folded" } as const;
const ALL_TASKS_FLAGS = { kind: "--kind", label: "--label", fromStart: "--from-start", cursor: "--cursor" } as const;

export function addFollow(program: Command): void {
  program
    .command("follow")
    .description("Follow a task's tape to its end, or with --all the tapes of all tasks")
    .argument("[task-id]", "Task id, or at least its first 8 characters")
    .option("--from-seq <seq>", "Seq of the first event to show (default: 1)", parseSeq)
    .option("--plain", "Print one line for each event instead of progress bars")
    .option("--folded", "Show consecutive partials of a series as one event, with the text that they form")
    .option(
      "--timeout <duration>",
      "How long this command waits, as 30s or 5m (default: no limit). The task keeps running.",
      parseDuration,
    )
    .option("--retry <duration>", "How long to try to reconnect to a lost server (default: 60s)", parseDuration)
    .option("--all", "Follow all tasks in one stream, from now on and until Ctrl-C")
    .option("--kind <kind>", "With --all: only tasks of this kind. Can be repeated; any of the kinds matches.", collect)
    .option(
      "--label <key=value>",
      "With --all: only tasks with this label. Can be repeated; all labels must match.",
      collectLabel,
    )
    .option("--from-start", "With --all: include the events that are already stored")
    .option("--cursor <cursor>", "With --all: resume after this cursor, which follow prints when it ends")
    .action((taskId: string | undefined, options: FollowOptions, command: Command) =>
      runCommand(command, (context) => {
        rejectMixedFlags(taskId, options);
        return taskId === undefined ? followAll(context, options) : follow(context, taskId, options);
      }),
    );
}

function rejectMixedFlags(taskId: string | undefined, options: FollowOptions): void {
  if ((taskId === undefined) === (options.all === undefined)) {
    throw new UsageError("follow: give either a task id or --all");
  }
  const rejected = options.all ? ONE_TASK_FLAGS : ALL_TASKS_FLAGS;
  const flag = Object.entries(rejected).find(([name]) => options[name as keyof FollowOptions] !== undefined)?.[1];
  if (flag !== undefined) throw new UsageError(`${flag}: not allowed ${options.all ? "with" : "without"} --all`);
  if (options.fromStart && options.cursor !== undefined)
    throw new UsageError("--cursor: not allowed with --from-start");
}

async function followAll(context: CommandContext, options: FollowOptions): Promise<number> {
  const { kind: kinds, label: labels, fromStart, cursor, retry: retryMs } = options;
  using wait = openWait(options.timeout);
  // Awaited here, because leaving this function disposes `wait`.
  return await followTasks(context, { kinds, labels, fromStart, cursor }, { retryMs, wait });
}

async function follow(context: CommandContext, idOrPrefix: string, options: FollowOptions): Promise<number> {
  const { fromSeq, plain, folded, retry: retryMs } = options;
  using wait = openWait(options.timeout);
  let taskId = idOrPrefix;
  try {
    taskId = await resolveTaskId(context.client, idOrPrefix, wait.signal);
    // Fails at once if the server is unreachable from the start. A server that is lost later is retried.
    await context.client.get({ taskId }, { signal: wait.signal });
  } catch (error) {
    return detach(context, error, {
      wait,
      taskId,
      resume: context.commandLine("follow", taskId, ...(folded ? ["--folded"] : [])),
    });
  }
  const { exitCode } = await followTask(context, { taskId, fromSeq, plain, folded, retryMs, wait });
  return exitCode;
}
