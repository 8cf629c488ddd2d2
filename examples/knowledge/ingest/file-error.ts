/** What is wrong with one source: it is reported, and the ingest goes on with the next. */
export type FileErrorKind =
  /** A link in the tree leads out of it. */
  | "outside"
  /** It cannot be opened or read, or changes while it is. */
  | "unreadable"
  | "too_large"
  | "path_too_long"
  /** Its name is of no kind that is ingested; only where the ingested path itself is a file. */
  | "unsupported"
  /** Its bytes are not UTF-8. */
  | "encoding"
  /** It holds the NUL character, which Postgres does not store. */
  | "nul"
  /** More text without white space and full of punctuation than Postgres indexes in a bounded time. */
  | "long_runs"
  | "front_matter"
  | "html";

export class FileError extends Error {
  readonly kind: FileErrorKind;

  /** @param message for callers: it names nothing outside the sources */
  constructor(kind: FileErrorKind, message: string) {
    super(message);
    this.name = "FileError";
    this.kind = kind;
  }
}

/** The error of a system call: its code alone, because its message has the path on this machine. */
export function unreadable(what: string, error: unknown): FileError {
  return new FileError("unreadable", `${what} (${systemCode(error)})`);
}

/** Like ENOENT. Throws what is no error of a system call. */
export function systemCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  throw error;
}
