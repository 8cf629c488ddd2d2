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
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { resolveTaskId } from "../options/task-id.ts";
import { letGo, openWait } from "../follow/wait.ts";

/** The least time between two questions, for a server that does not wait as it was asked to. */
const PAUSE_MS = 250;

interface ResultOptions {
  wait?: true;
  timeout?: number;
}

export function addResult(program: Command): void {
  program
    .command("result")
    .description("print the result of a task that has ended")
    .argument("<task-id>", "or the first 8 characters of it or more")
    .option("--wait", "wait for the end")
    .option("--timeout <duration>", "how long this command waits (30s, 5m); the task runs on", parseDuration)
    .action((taskId: string, options: ResultOptions, command: Command) =>
      withSession(command, (session) => result(session, taskId, options)),
    );
}

async function result(session: Session, named: string, options: ResultOptions): Promise<number> {
  using wait = openWait(options.timeout);
  let outcome: TaskResult;
  let taskId = named;
  try {
    taskId = await resolveTaskId(session.client, named, wait.signal);
    outcome = await (options.wait ? waitForResult : askForResult)(session, taskId, wait.signal);
  } catch (error) {
    return letGo(session, error, { wait, taskId, comeBack: session.commandLine("result", taskId, "--wait") });
  }
  if (session.json) {
    await writeOut(`${jsonText(resultJson(outcome))}\n`);
  } else if (outcome.error) {
    writeError(`task ${taskId} ${outcome.status}: ${failureText(outcome.error)}\n`);
  } else {
    await writeOut(`${resultText(outcome.result ?? {})}\n`);
  }
  return exitCodeOf(outcome.status);
}

function askForResult({ client }: Session, taskId: string, signal: AbortSignal): Promise<TaskResult> {
  return client.result({ taskId }, { signal });
}

async function waitForResult({ client }: Session, taskId: string, signal: AbortSignal): Promise<TaskResult> {
  for (;;) {
    try {
      return await client.result({ taskId, waitMs: WAIT_MS_MAX }, { signal });
    } catch (error) {
      if (!(error instanceof SpoolRpcError) || error.reason !== "TASK_NOT_TERMINAL") throw error;
      await pause(PAUSE_MS, signal);
    }
  }
}
