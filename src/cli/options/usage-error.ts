/** The command line, or a file that it names, is wrong. Nothing was done; the exit code is 2. */
export class UsageError extends Error {
  /** What belongs to it, one line each. */
  readonly problems: readonly string[];

  constructor(message: string, { cause, problems = [] }: { cause?: unknown; problems?: readonly string[] } = {}) {
    super(message, { cause });
    this.problems = problems;
    this.name = "UsageError";
  }
}
