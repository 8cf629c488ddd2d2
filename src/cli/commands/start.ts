import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { SpoolRpcError } from "../../client/client.ts";
import type { StartedTask, StartRequest } from "../../client/client.ts";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { followTask } from "../follow/follow-task.ts";
import { gatherLabel, parseCount, parseDuration, parseTime, readParams } from "../options/option-values.ts";
import { jsonText, resultText, writeNotice, writeOut } from "../output/output.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
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
}

export function addStart(program: Command): void {
  program
    .command("start")
    .description("start a task and print its handle; with --wait, follow it to its end and print its result")
    .argument("<kind>", "what code runs it")
    .option("--params <json>", "a JSON object; @FILE reads a file, - standard input", "{}")
    .option("--wait", "follow the task to its end")
    .option("--plain", "with --wait: a line an event, no bars")
    .option("--timeout <duration>", "how long this command waits (30s, 5m); the task runs on", parseDuration)
    .option("--retry <duration>", "how long to try to reach the server", parseDuration)
    .option("--request-id <id>", "the same id with the same content gives the same task: safe to run again")
    .option("--label <key=value>", "to find the task by; may be given again", gatherLabel)
    .option("--task-timeout <duration>", "how long an attempt at the task may run", parseDuration)
    .option("--max-attempts <n>", "how many attempts the task may use (default: as the kind says, else 1)", parseCount)
    .option("--retry-backoff <duration>", "how long the task waits after its first failed attempt", parseDuration)
    .option("--run-at <time>", "not before, as 2027-01-31T08:00:00Z", parseTime)
    .option("--deadline <time>", "when the task is ended, however far it has come", parseTime)
    .action((kind: string, options: StartOptions, command: Command) =>
      withSession(command, (session) => start(session, kind, options)),
    );
}

async function start(session: Session, kind: string, options: StartOptions): Promise<number> {
  // Made here, so that it can be told when nobody knows whether the start arrived.
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
  };
  using wait = openWait(options.timeout);
  let started: StartedTask;
  try {
    started = await session.client.start(request, { signal: wait.signal });
  } catch (error) {
    return unanswered(session, error, { wait, requestId });
  }
  const { taskId } = started.task;
  if (started.task.awaitsWorker) {
    const lines = [`nobody here runs ${escapeText(kind)}: the task waits until somebody comes who does`];
    writeNotice({ json: session.json, lines, fields: { notice: "awaits_worker", task_id: taskId, kind } });
  }
  if (!options.wait) {
    await writeOut(`${jsonText(handle(session, started))}\n`);
    return EXIT.succeeded;
  }
  if (!session.json) {
    const what = started.alreadyStarted ? "was started before" : "started";
    writeNotice({ json: false, lines: [`task ${taskId} ${what}`], fields: {} });
  }
  const { plain, retry: retryMs } = options;
  const { exitCode, final } = await followTask(session, { taskId, plain, retryMs, wait });
  if (final?.result && !session.json) await writeOut(`${resultText(final.result)}\n`);
  return exitCode;
}

/** What a caller needs to go on, and the command that waits. */
function handle({ commandLine }: Session, { task, alreadyStarted }: StartedTask) {
  const { taskId, kind, status } = task;
  const follow = commandLine("follow", taskId);
  return { task_id: taskId, kind, status, already_started: alreadyStarted, follow };
}

/** The start may have arrived all the same: only the request id can tell. */
function unanswered({ json }: Session, error: unknown, { wait, requestId }: { wait: Wait; requestId: string }): number {
  const hasEnded = wait.signal.aborted && error === wait.signal.reason;
  if (!hasEnded && !(error instanceof SpoolRpcError && error.code === "UNAVAILABLE")) throw error;
  const lines = [`no answer: if the start arrived all the same, --request-id ${requestId} finds its task`];
  writeNotice({ json, lines, fields: { notice: "no_answer", request_id: requestId } });
  if (!hasEnded) throw error;
  return error === wait.interrupt.reason ? EXIT.detached : EXIT.timedOut;
}
