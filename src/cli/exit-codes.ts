import type { TerminalStatus } from "../domain/task.ts";

/** What the command ends with. Scripts depend on these; docs and `spool --help` list them. */
export const EXIT = {
  /** The task succeeded; or the command did what it was told. */
  succeeded: 0,
  /** The task failed; or the server was not reached, or refused the call; or doctor found a failure. */
  failed: 1,
  /** The command line, its files or its environment are wrong: nothing was done. */
  usage: 2,
  /** Ctrl-C: the command let go of the task, which runs on. Not 130, which says that the task was cancelled. */
  detached: 3,
  /** The command's own --timeout ran out; the task runs on. As of timeout(1). */
  timedOut: 124,
  /** The task was cancelled; or Ctrl-C ended something other than a wait. */
  cancelled: 130,
  /** Whoever read the output left, as in `| head`. 128 + SIGPIPE, as the shell has it. */
  brokenPipe: 141,
  /** SIGTERM, twice: 128 + its number. */
  terminated: 143,
} as const;

export function exitCodeOf(status: TerminalStatus): number {
  return EXIT[status];
}
