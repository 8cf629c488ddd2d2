import type { Command } from "commander";
import { followTask } from "../follow-task.ts";
import { parseDuration, parseSeq } from "../option-values.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { letGo, openWait } from "../wait.ts";

interface FollowOptions {
  fromSeq?: bigint;
  plain?: true;
  timeout?: number;
  retry?: number;
}

export function addFollow(program: Command): void {
  program
    .command("follow")
    .description("show a task's tape, from the start or from a position, and follow it live to its end")
    .argument("<task-id>")
    .option("--from-seq <seq>", "the first event to show (default: 1)", parseSeq)
    .option("--plain", "a line an event, no bars")
    .option("--timeout <duration>", "how long this command waits (30s, 5m); the task runs on", parseDuration)
    .option("--retry <duration>", "how long to come back to a lost server (default: 60s)", parseDuration)
    .action((taskId: string, options: FollowOptions, command: Command) =>
      withSession(command, (session) => follow(session, taskId, options)),
    );
}

async function follow(session: Session, taskId: string, options: FollowOptions): Promise<number> {
  const { fromSeq, plain, retry: retryMs } = options;
  using wait = openWait(options.timeout);
  try {
    // A server that was never there is told of at once; one that goes away later is waited for.
    await session.client.get({ taskId }, { signal: wait.signal });
  } catch (error) {
    return letGo(session, error, { wait, taskId, comeBack: session.commandLine("follow", taskId) });
  }
  const { exitCode } = await followTask(session, { taskId, fromSeq, plain, retryMs, wait });
  return exitCode;
}
