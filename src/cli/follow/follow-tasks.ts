import type { FollowedTask, TasksReconnectNotice, TasksToFollow } from "../../client/client.ts";
import { isTransient } from "../../client/errors.ts";
import { RETRY_MS_DEFAULT } from "../../client/retry.ts";
import { describeEvent } from "../output/event-lines.ts";
import { eventJson } from "../output/json-shapes.ts";
import { onceAnOutage } from "./report-once.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { paintStdout } from "../output/color.ts";
import type { Session } from "../session.ts";
import { whyLetGo } from "./wait.ts";
import type { Wait } from "./wait.ts";

/**
 * Shows the events of many tasks, a line each, until Ctrl-C or the time limit. Tells then how to go on from there.
 *
 * @returns the exit code
 */
export async function followTasks(
  session: Session,
  tasks: TasksToFollow,
  { retryMs = RETRY_MS_DEFAULT, wait }: { retryMs?: number | undefined; wait: Wait },
): Promise<number> {
  const { client, json } = session;
  let cursor = tasks.cursor ?? "";
  const comeBack = () => session.commandLine("follow", "--all", ...filterWords(tasks), ...cursorWords(cursor));
  try {
    const options = { retryMs, signal: wait.signal, onReconnect: tellOfLoss(session) };
    for await (const frame of client.followTasks(tasks, options)) {
      await writeOut(frame.tasks.flatMap(json ? jsonLines : lines).join(""));
      cursor = frame.cursor;
    }
  } catch (error) {
    const ended = whyLetGo(error, wait);
    const { what, notice, exitCode } = ended ?? { what: "gave up", notice: "gave_up", exitCode: null };
    const fields = { notice, cursor, come_back: comeBack() };
    if (cursor !== "" && (ended !== null || isTransient(error)))
      writeNotice({ json, lines: [`${what}; to go on from here:  ${comeBack()}`], fields });
    if (exitCode !== null) return exitCode;
    throw error;
  }
  throw new Error("a stream over many tasks ended without an end");
}

function lines({ taskId, events }: FollowedTask): string[] {
  return events.flatMap((event) => {
    const text = describeEvent(event, paintStdout);
    const place = paintStdout("dim", `${event.time.toISOString()} ${taskId} ${event.seq}`);
    return text === null ? [] : [`${place} ${text}\n`];
  });
}

function jsonLines({ taskId, events }: FollowedTask): string[] {
  return events.filter(({ type }) => type !== "unknown").map((event) => `${jsonText(eventJson(taskId, event))}\n`);
}

function filterWords({ kinds = [], labels = {} }: TasksToFollow): string[] {
  const pairs = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  return [...kinds.flatMap((kind) => ["--kind", kind]), ...pairs];
}

function cursorWords(cursor: string): string[] {
  return cursor === "" ? [] : ["--cursor", cursor];
}

function tellOfLoss({ json }: Session): (notice: TasksReconnectNotice) => void {
  return onceAnOutage<TasksReconnectNotice>(({ error: { message }, cursor }) => {
    const fields = { notice: "connection_lost", cursor, message };
    writeNotice({ json, lines: [`connection lost, coming back by itself: ${message}`], fields });
  });
}
