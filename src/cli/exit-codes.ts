import type { TerminalStatus } from "../domain/task.ts";

/** Exit codes. Scripts depend on them; `docs/clients.md` and `spool --help` list them. */
export const EXIT = {
  /** The task succeeded; or the command did its job. */
  succeeded: 0,
  /**
   * The task failed; or the server was unreachable or rejected the call; or `doctor` found a failure, or `health` no
   * server that accepts work.
   */
  failed: 1,
  /** The command line, a file that it names, or the environment is invalid. The command did nothing. */
  usage: 2,
  /** Ctrl-C: the command detached from the task, which keeps running. Not 130: that means the task was cancelled. */
  detached: 3,
  /** The command's own `--timeout` expired; the task keeps running. The same code as timeout(1). */
  timedOut: 124,
  /** The task was cancelled; or Ctrl-C stopped a command that does not wait for a task. */
  cancelled: 130,
  /** The reader of the output closed the pipe, as `| head` does: 128 + SIGPIPE, as in a shell. */
  brokenPipe: 141,
  /** A second SIGTERM stopped `serve` at once: 128 + SIGTERM. */
  terminated: 143,
} as const;

export function exitCodeOf(status: TerminalStatus): number {
  return EXIT[status];
}
