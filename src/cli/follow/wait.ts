import { timeLimit } from "../../async/time-limit.ts";
import type { TimeLimit } from "../../async/time-limit.ts";
import { EXIT } from "../exit-codes.ts";
import { catchInterrupt } from "./interrupt.ts";
import type { Interrupt } from "./interrupt.ts";
import { writeNotice } from "../output/output.ts";
import type { Session } from "../session.ts";

/** A wait for a task that runs on, whoever waits: it ends by Ctrl-C, and after --timeout. */
export interface Wait extends Disposable {
  readonly signal: AbortSignal;
  readonly interrupt: Interrupt;
  readonly limit: TimeLimit;
}

/** @param timeoutMs undefined: as long as it takes */
export function openWait(timeoutMs: number | undefined): Wait {
  const interrupt = catchInterrupt();
  const limit = timeLimit(timeoutMs ?? Infinity, interrupt.signal);
  return {
    signal: limit.signal,
    interrupt,
    limit,
    [Symbol.dispose]() {
      limit[Symbol.dispose]();
      interrupt[Symbol.dispose]();
    },
  };
}

/**
 * Tells why a wait for a task has ended before the task, and how to come back.
 *
 * @param comeBack the command that goes on from here
 * @returns the exit code
 * @throws the error, if it was neither Ctrl-C nor the time limit
 */
export function letGo(
  { json, commandLine }: Session,
  error: unknown,
  { wait, taskId, comeBack }: { wait: Wait; taskId: string; comeBack: string },
): number {
  const ended = whyLetGo(error, wait);
  if (!ended) throw error;
  const cancel = commandLine("cancel", taskId);
  const lines = [
    `${ended.what}: task ${taskId} keeps running`,
    `  to come back:  ${comeBack}`,
    `  to cancel it:  ${cancel}`,
  ];
  writeNotice({ json, lines, fields: { notice: ended.notice, task_id: taskId, come_back: comeBack, cancel } });
  return ended.exitCode;
}

/** Why a wait was ended by who waits; null for any other error. */
export function whyLetGo(
  error: unknown,
  { interrupt, limit }: Wait,
): { what: string; notice: string; exitCode: number } | null {
  if (error === interrupt.reason) return { what: "detached", notice: "detached", exitCode: EXIT.detached };
  if (error === limit.reason) return { what: "timed out", notice: "timed_out", exitCode: EXIT.timedOut };
  return null;
}
