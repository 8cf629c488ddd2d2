import type { Command } from "commander";
import { SpoolRpcError } from "../../client/client.ts";
import type { TaskResult } from "../../client/client.ts";
import { pause } from "../../async/pause.ts";
import { WAIT_MS_MAX } from "../../domain/limits.ts";
import { failureText } from "../output/event-lines.ts";
import { exitCodeOf } from "../exit-codes.ts";
import { resultJson } from "../output/json-shapes.ts";
import { parseDuration } from "../options/option-values.ts";
import { jsonText, resultText, writeError, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";
import { detach, openWait } from "../follow/wait.ts";

/** Least pause between two calls, in case the server returns before the requested wait is over. */
const POLL_PAUSE_MS = 250;

interface ResultOptions {
  wait?: true;
  timeout?: number;
}

export function addResult(program: Command): void {
  program
    .command("result")
    .description("Print the result of a finished task")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .option("--wait", "Wait for the end of the task")
    .option(
      "--timeout <duration>",
      "How long this command waits, as 30s or 5m (default: no limit). The task keeps running.",
      parseDuration,
    )
    .action((taskId: string, options: ResultOptions, command: Command) =>
      runCommand(command, (context) => result(context, taskId, options)),
    );
}

async function result(context: CommandContext, idOrPrefix: string, options: ResultOptions): Promise<number> {
  using wait = openWait(options.timeout);
  let outcome: TaskResult;
  let taskId = idOrPrefix;
  try {
    taskId = await resolveTaskId(context.client, idOrPrefix, wait.signal);
    outcome = await (options.wait ? waitForResult : fetchResult)(context, taskId, wait.signal);
  } catch (error) {
    return detach(context, error, { wait, taskId, resume: context.commandLine("result", taskId, "--wait") });
  }
  if (context.json) {
    await writeOut(`${jsonText(resultJson(outcome))}\n`);
  } else if (outcome.error) {
    writeError(`task ${taskId} ${outcome.status}: ${failureText(outcome.error)}\n`);
  } else {
    await writeOut(`${resultText(outcome.result ?? {})}\n`);
  }
  return exitCodeOf(outcome.status);
}

function fetchResult({ client }: CommandContext, taskId: string, signal: AbortSignal): Promise<TaskResult> {
  return client.result({ taskId }, { signal });
}

async function waitForResult({ client }: CommandContext, taskId: string, signal: AbortSignal): Promise<TaskResult> {
  for (;;) {
    try {
      return await client.result({ taskId, waitMs: WAIT_MS_MAX }, { signal });
    } catch (error) {
      if (!(error instanceof SpoolRpcError) || error.reason !== "TASK_NOT_TERMINAL") throw error;
      await pause(POLL_PAUSE_MS, signal);
    }
  }
}
