import type { Command } from "commander";
import { followTask } from "../follow/follow-task.ts";
import { followTasks } from "../follow/follow-tasks.ts";
import { gather, gatherLabel, parseDuration, parseSeq } from "../options/option-values.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { resolveTaskId } from "../options/task-id.ts";
import { UsageError } from "../options/usage-error.ts";
import { letGo, openWait } from "../follow/wait.ts";

interface FollowOptions {
  fromSeq?: bigint;
  plain?: true;
  timeout?: number;
  retry?: number;
  all?: true;
  kind?: string[];
  label?: Record<string, string>;
  fromStart?: true;
  cursor?: string;
}

/** The options of either use, by their flags: with the other they say nothing, and are refused. */
const OF_ONE = { fromSeq: "--from-seq", plain: "--plain" } as const;
const OF_ALL = { kind: "--kind", label: "--label", fromStart: "--from-start", cursor: "--cursor" } as const;

export function addFollow(program: Command): void {
  program
    .command("follow")
    .description("show a task's tape and follow it live to its end; or, with --all, what every task records")
    .argument("[task-id]", "or the first 8 characters of it or more")
    .option("--from-seq <seq>", "the first event to show (default: 1)", parseSeq)
    .option("--plain", "a line an event, no bars")
    .option("--timeout <duration>", "how long this command waits (30s, 5m); the task runs on", parseDuration)
    .option("--retry <duration>", "how long to come back to a lost server (default: 60s)", parseDuration)
    .option("--all", "instead of one task all of them, by one stream, from now on and until Ctrl-C")
    .option("--kind <kind>", "with --all: only tasks of this kind; may be given again", gather)
    .option(
      "--label <key=value>",
      "with --all: only tasks with this label; may be given again: all of them",
      gatherLabel,
    )
    .option("--from-start", "with --all: what is stored already, too")
    .option("--cursor <cursor>", "with --all: go on from where a stream was left, as it said")
    .action((taskId: string | undefined, options: FollowOptions, command: Command) =>
      withSession(command, (session) => {
        refuseMixed(taskId, options);
        return taskId === undefined ? followAll(session, options) : follow(session, taskId, options);
      }),
    );
}

function refuseMixed(taskId: string | undefined, options: FollowOptions): void {
  if ((taskId === undefined) === (options.all === undefined)) {
    throw new UsageError("follow: name a task, or follow them with --all");
  }
  const others = options.all ? OF_ONE : OF_ALL;
  const flag = Object.entries(others).find(([name]) => options[name as keyof FollowOptions] !== undefined)?.[1];
  if (flag !== undefined) throw new UsageError(`${flag}: says nothing ${options.all ? "with" : "without"} --all`);
  if (options.fromStart && options.cursor !== undefined)
    throw new UsageError("--cursor: says nothing with --from-start");
}

async function followAll(session: Session, options: FollowOptions): Promise<number> {
  const { kind: kinds, label: labels, fromStart, cursor, retry: retryMs } = options;
  using wait = openWait(options.timeout);
  // Awaited here, for what it waits with is let go of on leaving.
  return await followTasks(session, { kinds, labels, fromStart, cursor }, { retryMs, wait });
}

async function follow(session: Session, named: string, options: FollowOptions): Promise<number> {
  const { fromSeq, plain, retry: retryMs } = options;
  using wait = openWait(options.timeout);
  let taskId = named;
  try {
    taskId = await resolveTaskId(session.client, named, wait.signal);
    // A server that was never there is told of at once; one that goes away later is waited for.
    await session.client.get({ taskId }, { signal: wait.signal });
  } catch (error) {
    return letGo(session, error, { wait, taskId, comeBack: session.commandLine("follow", taskId) });
  }
  const { exitCode } = await followTask(session, { taskId, fromSeq, plain, retryMs, wait });
  return exitCode;
}
