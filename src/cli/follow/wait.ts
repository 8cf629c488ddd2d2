import { timeLimit } from "../../async/time-limit.ts";
import type { TimeLimit } from "../../async/time-limit.ts";
import { EXIT } from "../exit-codes.ts";
import { catchInterrupt } from "./interrupt.ts";
import type { Interrupt } from "./interrupt.ts";
import { writeNotice } from "../output/output.ts";
import type { CommandContext } from "../command-context.ts";

/** A wait for a task. Ctrl-C and `--timeout` end the wait, not the task. */
export interface Wait extends Disposable {
  readonly signal: AbortSignal;
  readonly interrupt: Interrupt;
  readonly limit: TimeLimit;
}

/** Starts a wait. @param timeoutMs undefined: no limit */
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
 * Reports why a wait ended before its task, and the commands that resume the wait and cancel the task.
 *
 * @param resume the command that resumes
 * @returns the exit code
 * @throws `error`, if neither Ctrl-C nor the time limit ended the wait
 */
export function detach(
  { json, commandLine }: CommandContext,
  error: unknown,
  { wait, taskId, resume }: { wait: Wait; taskId: string; resume: string },
): number {
  const ended = detachReason(error, wait);
  if (!ended) throw error;
  const cancel = commandLine("cancel", taskId);
  const lines = [`${ended.what}: task ${taskId} keeps running`, `  to resume:  ${resume}`, `  to cancel:  ${cancel}`];
  writeNotice({ json, lines, fields: { notice: ended.notice, task_id: taskId, come_back: resume, cancel } });
  return ended.exitCode;
}

/** Returns whether Ctrl-C or the time limit ended a wait, and how to report that; null for any other error. */
export function detachReason(
  error: unknown,
  { interrupt, limit }: Wait,
): { what: string; notice: string; exitCode: number } | null {
  if (error === interrupt.reason) return { what: "detached", notice: "detached", exitCode: EXIT.detached };
  if (error === limit.reason) return { what: "timed out", notice: "timed_out", exitCode: EXIT.timedOut };
  return null;
}
