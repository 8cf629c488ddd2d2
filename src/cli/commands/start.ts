import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { SpoolRpcError } from "../../client/client.ts";
import type { StartedTask, StartRequest } from "../../client/client.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { followTask } from "../follow/follow-task.ts";
import { collectLabel, parseCount, parseDuration, parseTime, readParams } from "../options/option-values.ts";
import { jsonText, resultText, writeNotice, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { openWait } from "../follow/wait.ts";
import type { Wait } from "../follow/wait.ts";

interface StartOptions {
  params: string;
  wait?: true;
  plain?: true;
  timeout?: number;
  retry?: number;
  requestId?: string;
  label?: Record<string, string>;
  taskTimeout?: number;
  maxAttempts?: number;
  retryBackoff?: number;
  runAt?: Date;
  deadline?: Date;
  retention?: number;
}

export function addStart(program: Command): void {
  program
    .command("start")
    .description("Start a task and print its handle. With --wait, follow the task and print its result.")
    .argument("<kind>", "Kind of the task")
    .option("--params <json>", "Params as a JSON object. @FILE reads a file, - reads standard input.", "{}")
    .option("--wait", "Follow the task to its end")
    .option("--plain", "With --wait: print one line for each event instead of progress bars")
    .option(
      "--timeout <duration>",
      "How long this command waits, as 30s or 5m (default: no limit). The task keeps running.",
      parseDuration,
    )
    .option(
      "--retry <duration>",
      "How long to retry an unreachable server (default: 3s to start, 60s to follow)",
      parseDuration,
    )
    .option(
      "--request-id <id>",
      "Idempotency key (default: random). A repeated start with the same id and content returns the same task.",
    )
    .option("--label <key=value>", "Label of the task. Can be repeated.", collectLabel)
    .option("--task-timeout <duration>", "How long each attempt may run (default: no limit)", parseDuration)
    .option("--max-attempts <n>", "Maximum number of attempts (default: set by the kind, else 1)", parseCount)
    .option(
      "--retry-backoff <duration>",
      "Wait after the first failed attempt (default: set by the kind, else 1s)",
      parseDuration,
    )
    .option("--run-at <time>", "Earliest start, as 2027-01-31T08:00:00Z (default: now)", parseTime)
    .option(
      "--deadline <time>",
      "Time at which an unfinished task fails, as 2027-01-31T08:00:00Z (default: none)",
      parseTime,
    )
    .option(
      "--retention <duration>",
      "How long the task is kept after its end, 1s to 36500d (default: set by the server, else 30d)",
      parseDuration,
    )
    .action((kind: string, options: StartOptions, command: Command) =>
      runCommand(command, (context) => start(context, kind, options)),
    );
}

async function start(context: CommandContext, kind: string, options: StartOptions): Promise<number> {
  // Generated here, so that the command can report the id if the start gets no response.
  const requestId = options.requestId ?? randomUUID();
  const request: StartRequest = {
    kind,
    params: await readParams(options.params),
    requestId,
    labels: options.label,
    timeoutMs: options.taskTimeout,
    maxAttempts: options.maxAttempts,
    retryPolicy: { initialBackoffMs: options.retryBackoff },
    runAt: options.runAt,
    deadlineAt: options.deadline,
    retentionMs: options.retention,
  };
  using wait = openWait(options.timeout);
  let started: StartedTask;
  try {
    started = await context.client.start(request, { signal: wait.signal });
  } catch (error) {
    return reportUnansweredStart(context, error, { wait, requestId });
  }
  const { taskId } = started.task;
  if (started.task.awaitsWorker) {
    const lines = [`no server or worker runs kind ${escapeText(kind)}: the task waits until one does`];
    writeNotice({ json: context.json, lines, fields: { notice: "awaits_worker", task_id: taskId, kind } });
  }
  if (!options.wait) {
    await writeOut(`${jsonText(handle(context, started))}\n`);
    return EXIT.succeeded;
  }
  if (!context.json) {
    const what = started.alreadyStarted ? "was already started" : "started";
    writeNotice({ json: false, lines: [`task ${taskId} ${what}`], fields: {} });
  }
  const { plain, retry: retryMs } = options;
  const { exitCode, final } = await followTask(context, { taskId, plain, retryMs, wait });
  if (final?.result && !context.json) await writeOut(`${resultText(final.result)}\n`);
  return exitCode;
}

/** Returns the task's id and state, and the command that follows the task. */
function handle({ commandLine }: CommandContext, { task, alreadyStarted }: StartedTask) {
  const { taskId, kind, status } = task;
  const follow = commandLine("follow", taskId);
  return { task_id: taskId, kind, status, already_started: alreadyStarted, follow };
}

/** Reports the request id of a start without a response, because the server may have started the task. */
function reportUnansweredStart(
  { json }: CommandContext,
  error: unknown,
  { wait, requestId }: { wait: Wait; requestId: string },
): number {
  const isWaitOver = wait.signal.aborted && error === wait.signal.reason;
  if (!isWaitOver && !(error instanceof SpoolRpcError && error.code === "UNAVAILABLE")) throw error;
  const lines = [
    `no response: the task may have started; it is safe to repeat the command with --request-id ${requestId}`,
  ];
  writeNotice({ json, lines, fields: { notice: "no_answer", request_id: requestId } });
  if (!isWaitOver) throw error;
  return error === wait.interrupt.reason ? EXIT.detached : EXIT.timedOut;
}
