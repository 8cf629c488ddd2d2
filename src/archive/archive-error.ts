/** A file that is not a sound export. The message names the file, the line if there is one, and the reason. */
export class ArchiveError extends Error {
  constructor(file: string, line: number | null, reason: string, options?: ErrorOptions) {
    super(`${file}${line === null ? "" : `:${line}`}: ${reason}`, options);
    this.name = "ArchiveError";
  }
}

/** A file that ends too early, as that of an interrupted export does. All before the end is sound. */
export class TruncatedArchive extends ArchiveError {
  constructor(file: string, line: number | null, reason: string) {
    super(file, line, reason);
    this.name = "TruncatedArchive";
  }
}
