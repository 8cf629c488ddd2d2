/** The command line, or a file that it names, is wrong. Nothing was done; the exit code is 2. */
export class UsageError extends Error {
  constructor(message: string, { cause }: { cause?: unknown } = {}) {
    super(message, { cause });
    this.name = "UsageError";
  }
}
