/** An invalid command line, or an invalid file that it names. The command did nothing; the exit code is 2. */
export class UsageError extends Error {
  /** Further lines below the message. */
  readonly problems: readonly string[];

  constructor(message: string, { cause, problems = [] }: { cause?: unknown; problems?: readonly string[] } = {}) {
    super(message, { cause });
    this.problems = problems;
    this.name = "UsageError";
  }
}
