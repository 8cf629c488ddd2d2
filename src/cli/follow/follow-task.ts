import type { FinalEvent, Frame, ReconnectNotice } from "../../client/client.ts";
import { isTransient } from "../../client/errors.ts";
import { RETRY_MS_DEFAULT } from "../../client/retry.ts";
import { isTerminal } from "../../domain/task.ts";
import { Bars } from "../output/bars.ts";
import { eventLine } from "../output/event-lines.ts";
import { exitCodeOf } from "../exit-codes.ts";
import { eventJson } from "../output/json-shapes.ts";
import { reportOnce } from "./report-once.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { colorizeStdout } from "../output/colorize.ts";
import type { CommandContext } from "../command-context.ts";
import { detach } from "./wait.ts";
import type { Wait } from "./wait.ts";

/** Shows the frames of one tape on standard output. */
interface View {
  show(frame: Frame): Promise<void>;
  /** Removes what would mix with lines on stderr. */
  clear(): void;
  close(): Promise<void>;
}

/**
 * Follows a task to its end and shows the events: as progress bars on a terminal, as one line each elsewhere and with
 * `plain` or `folded`, as JSON with `--json`. Ctrl-C and the time limit detach from the task, which keeps running.
 *
 * @param retryMs how long to try to reconnect to a lost server without progress
 * @returns the exit code, and the `final` event if it was received
 */
export async function followTask(
  context: CommandContext,
  {
    taskId,
    fromSeq = 1n,
    plain = false,
    folded = false,
    retryMs = RETRY_MS_DEFAULT,
    wait,
  }: {
    taskId: string;
    fromSeq?: bigint | undefined;
    plain?: boolean | undefined;
    /** Whether to show the folded view. */
    folded?: boolean | undefined;
    retryMs?: number | undefined;
    wait: Wait;
  },
): Promise<{ exitCode: number; final: FinalEvent | null }> {
  const view = openView(context, { taskId, plain: plain || folded });
  const tape = { taskId, fromSeq, view: folded ? "folded" : "recorded" } as const;
  const follow = { retryMs, signal: wait.signal, onReconnect: reportDisconnect(context, view) };
  let nextFromSeq = fromSeq;
  let last: Frame | null = null;
  try {
    for await (const frame of context.client.followFrames(tape, follow)) {
      await view.show(frame);
      last = frame;
      nextFromSeq = (frame.events.at(-1)?.seq ?? nextFromSeq - 1n) + 1n;
    }
  } catch (error) {
    await view.close();
    const flags = folded ? ["--folded"] : [];
    const resume = context.commandLine("follow", taskId, "--from-seq", String(nextFromSeq), ...flags);
    if (isTransient(error)) {
      const fields = { notice: "gave_up", task_id: taskId, come_back: resume };
      writeNotice({ json: context.json, lines: [`gave up; to resume:  ${resume}`], fields });
    }
    return { exitCode: detach(context, error, { wait, taskId, resume }), final: null };
  }
  await view.close();
  if (last === null || !isTerminal(last.status)) throw new Error("the stream ended before the final event of the task");
  const final = last.events.at(-1);
  return { exitCode: exitCodeOf(last.status), final: final?.type === "final" ? final : null };
}

/** Prints one line for each event. */
export async function showLines({ events }: Pick<Frame, "events">): Promise<void> {
  const lines = events.map((event) => eventLine(event, colorizeStdout)).filter((line) => line !== null);
  await writeOut(lines.map((line) => `${line}\n`).join(""));
}

function openView({ json }: CommandContext, { taskId, plain }: { taskId: string; plain: boolean }): View {
  if (!json && !plain && process.stdout.isTTY) return new Bars();
  const show = json ? (frame: Frame) => showJson(taskId, frame) : showLines;
  return { show, clear: () => {}, close: async () => {} };
}

async function showJson(taskId: string, { events }: Frame): Promise<void> {
  const known = events.filter(({ type }) => type !== "unknown");
  await writeOut(known.map((event) => `${jsonText(eventJson(taskId, event))}\n`).join(""));
}

function reportDisconnect({ json }: CommandContext, view: View): (notice: ReconnectNotice) => void {
  return reportOnce<ReconnectNotice>(({ error: { message }, nextFromSeq }) => {
    view.clear();
    writeNotice({
      json,
      lines: [`connection lost before event ${nextFromSeq}, reconnecting: ${message}`],
      fields: { notice: "connection_lost", next_from_seq: nextFromSeq, message },
    });
  });
}
