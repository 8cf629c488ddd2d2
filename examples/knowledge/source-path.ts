import * as v from "valibot";

export const SOURCE_PATH_CHARS_MAX = 1_024;

/** The whole tree of sources. */
export const ALL_SOURCES = ".";

/** Folders that hold no sources whatever is in them. Hidden ones, such as .git, are skipped for their name alone. */
const SKIPPED_FOLDERS = new Set(["node_modules"]);

/**
 * A path of a file or folder below the sources, given back in its one normal form: `docs`, `./docs` and `docs/` are
 * `docs`, and `.` is everything. Only its shape is checked here: where its links lead is known when it is walked.
 */
export const sourcePath = v.pipe(
  v.string(),
  v.minLength(1, "must not be empty; . is the whole tree"),
  v.maxLength(SOURCE_PATH_CHARS_MAX, `must be at most ${SOURCE_PATH_CHARS_MAX} characters`),
  v.check((path) => !path.includes("\0"), "must not hold a NUL character"),
  v.check((path) => !path.startsWith("/"), "must be relative to the sources"),
  v.check((path) => !segmentsOf(path).includes(".."), "must not hold .."),
  v.check(
    (path) => !segmentsOf(path).some((name) => name !== ".." && isSkippedName(name)),
    "must not name a hidden folder or node_modules",
  ),
  v.transform((path) => segmentsOf(path).join("/") || ALL_SOURCES),
);

/** Whether a walk passes over a file or folder for its name. */
export function isSkippedName(name: string): boolean {
  return name.startsWith(".") || SKIPPED_FOLDERS.has(name);
}

function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}
