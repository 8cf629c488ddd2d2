import type { FollowedTask, TasksReconnectNotice, TasksToFollow } from "../../client/client.ts";
import { isTransient } from "../../client/errors.ts";
import { RETRY_MS_DEFAULT } from "../../client/retry.ts";
import { describeEvent } from "../output/event-lines.ts";
import { eventJson } from "../output/json-shapes.ts";
import { reportOnce } from "./report-once.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { colorizeStdout } from "../output/colorize.ts";
import type { CommandContext } from "../command-context.ts";
import { detachReason } from "./wait.ts";
import type { Wait } from "./wait.ts";

/**
 * Shows the events of many tasks, one line each, until Ctrl-C or the time limit. Then reports how to resume.
 *
 * @returns the exit code
 */
export async function followTasks(
  context: CommandContext,
  tasks: TasksToFollow,
  { retryMs = RETRY_MS_DEFAULT, wait }: { retryMs?: number | undefined; wait: Wait },
): Promise<number> {
  const { client, json } = context;
  let cursor = tasks.cursor ?? "";
  const resume = () => context.commandLine("follow", "--all", ...filterFlags(tasks), ...cursorFlags(cursor));
  try {
    const options = { retryMs, signal: wait.signal, onReconnect: reportDisconnect(context) };
    for await (const frame of client.followTasks(tasks, options)) {
      await writeOut(frame.tasks.flatMap(json ? jsonLines : lines).join(""));
      cursor = frame.cursor;
    }
  } catch (error) {
    const ended = detachReason(error, wait);
    const { what, notice, exitCode } = ended ?? { what: "gave up", notice: "gave_up", exitCode: null };
    const fields = { notice, cursor, come_back: resume() };
    if (cursor !== "" && (ended !== null || isTransient(error)))
      writeNotice({ json, lines: [`${what}; to resume:  ${resume()}`], fields });
    if (exitCode !== null) return exitCode;
    throw error;
  }
  throw new Error("the stream over many tasks ended without an error");
}

function lines({ taskId, events }: FollowedTask): string[] {
  return events.flatMap((event) => {
    const text = describeEvent(event, colorizeStdout);
    const position = colorizeStdout("dim", `${event.time.toISOString()} ${taskId} ${event.seq}`);
    return text === null ? [] : [`${position} ${text}\n`];
  });
}

function jsonLines({ taskId, events }: FollowedTask): string[] {
  return events.filter(({ type }) => type !== "unknown").map((event) => `${jsonText(eventJson(taskId, event))}\n`);
}

function filterFlags({ kinds = [], labels = {} }: TasksToFollow): string[] {
  const pairs = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  return [...kinds.flatMap((kind) => ["--kind", kind]), ...pairs];
}

function cursorFlags(cursor: string): string[] {
  return cursor === "" ? [] : ["--cursor", cursor];
}

function reportDisconnect({ json }: CommandContext): (notice: TasksReconnectNotice) => void {
  return reportOnce<TasksReconnectNotice>(({ error: { message }, cursor }) => {
    const fields = { notice: "connection_lost", cursor, message };
    writeNotice({ json, lines: [`connection lost, reconnecting: ${message}`], fields });
  });
}
