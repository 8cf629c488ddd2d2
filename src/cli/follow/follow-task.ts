import type { FinalEvent, Frame, ReconnectNotice } from "../../client/client.ts";
import { isTransient } from "../../client/errors.ts";
import { RETRY_MS_DEFAULT } from "../../client/retry.ts";
import { isTerminal } from "../../domain/task.ts";
import { Bars } from "../output/bars.ts";
import { eventLine } from "../output/event-lines.ts";
import { exitCodeOf } from "../exit-codes.ts";
import { eventJson } from "../output/json-shapes.ts";
import { onceAnOutage } from "./report-once.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { paintStdout } from "../output/color.ts";
import type { Session } from "../session.ts";
import { letGo } from "./wait.ts";
import type { Wait } from "./wait.ts";

/** Shows the frames of one tape on standard output. */
interface View {
  show(frame: Frame): Promise<void>;
  /** Makes room for lines on stderr. */
  clear(): void;
  close(): Promise<void>;
}

/**
 * Follows a task to its end and shows it: bars on a terminal, a line an event elsewhere and with `plain`, JSON with
 * `--json`. Ctrl-C and the time limit let go of the task, which runs on.
 *
 * @param retryMs how long to come back to a lost server without progress
 * @returns the exit code, and the outcome where `final` was seen
 */
export async function followTask(
  session: Session,
  {
    taskId,
    fromSeq = 1n,
    plain = false,
    retryMs = RETRY_MS_DEFAULT,
    wait,
  }: {
    taskId: string;
    fromSeq?: bigint | undefined;
    plain?: boolean | undefined;
    retryMs?: number | undefined;
    wait: Wait;
  },
): Promise<{ exitCode: number; final: FinalEvent | null }> {
  const view = openView(session, { taskId, plain });
  const follow = { retryMs, signal: wait.signal, onReconnect: tellOfLoss(session, view) };
  let nextFromSeq = fromSeq;
  let last: Frame | null = null;
  try {
    for await (const frame of session.client.followFrames({ taskId, fromSeq }, follow)) {
      await view.show(frame);
      last = frame;
      nextFromSeq = (frame.events.at(-1)?.seq ?? nextFromSeq - 1n) + 1n;
    }
  } catch (error) {
    await view.close();
    const comeBack = session.commandLine("follow", taskId, "--from-seq", String(nextFromSeq));
    if (isTransient(error)) {
      const fields = { notice: "gave_up", task_id: taskId, come_back: comeBack };
      writeNotice({ json: session.json, lines: [`gave up; to come back:  ${comeBack}`], fields });
    }
    return { exitCode: letGo(session, error, { wait, taskId, comeBack }), final: null };
  }
  await view.close();
  if (last === null || !isTerminal(last.status)) throw new Error("a followed tape ended without an end");
  const final = last.events.at(-1);
  return { exitCode: exitCodeOf(last.status), final: final?.type === "final" ? final : null };
}

/** A line an event. */
export async function showLines({ events }: Pick<Frame, "events">): Promise<void> {
  const lines = events.map((event) => eventLine(event, paintStdout)).filter((line) => line !== null);
  await writeOut(lines.map((line) => `${line}\n`).join(""));
}

function openView({ json }: Session, { taskId, plain }: { taskId: string; plain: boolean }): View {
  if (!json && !plain && process.stdout.isTTY) return new Bars();
  const show = json ? (frame: Frame) => showJson(taskId, frame) : showLines;
  return { show, clear: () => {}, close: async () => {} };
}

async function showJson(taskId: string, { events }: Frame): Promise<void> {
  const known = events.filter(({ type }) => type !== "unknown");
  await writeOut(known.map((event) => `${jsonText(eventJson(taskId, event))}\n`).join(""));
}

function tellOfLoss({ json }: Session, view: View): (notice: ReconnectNotice) => void {
  return onceAnOutage<ReconnectNotice>(({ error: { message }, nextFromSeq }) => {
    view.clear();
    writeNotice({
      json,
      lines: [`connection lost before event ${nextFromSeq}, coming back by itself: ${message}`],
      fields: { notice: "connection_lost", next_from_seq: nextFromSeq, message },
    });
  });
}
