import { stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { ArchiveError, TruncatedArchive } from "../../archive/archive-error.ts";
import { readLines } from "../../archive/archive-lines-reader.ts";
import { ArchiveParser } from "../../archive/archive-parser.ts";
import type { ArchiveFooter, ArchiveHeader, AskedTasks } from "../../archive/archive-lines.ts";
import { UsageError } from "../options/usage-error.ts";

/** Where an interrupted export goes on. */
export interface ResumePoint {
  header: ArchiveHeader;
  /** The bytes of the file to keep. */
  offset: number;
  /** The lines to keep after them, from a frame whose last lines are dropped. */
  lines: string;
  lastTaskId: string | null;
  counts: ArchiveFooter;
  /** Whether the file is a complete export, to which nothing is added. */
  isComplete: boolean;
}

/**
 * Reads and validates the file of an interrupted export, up to its last complete task.
 *
 * @returns null if there is no such file, or it is empty
 * @throws UsageError if the file is of another export, or of none
 */
export async function findResumePoint(
  file: string,
  { asked, isCompressed }: { asked: AskedTasks; isCompressed: boolean },
): Promise<ResumePoint | null> {
  const size = await sizeOf(file);
  if (size === 0) return null;
  const parser = new ArchiveParser(file);
  let point: ResumePoint | null = null;
  let lastTaskId: string | null = null;
  try {
    for await (const { chunk, lines } of readLines(file)) {
      if (chunk.isCompressed !== isCompressed) {
        const format = chunk.isCompressed ? "compressed" : "not compressed";
        throw new UsageError(`--output ${file}: the file is ${format}, unlike what the command line asks for`);
      }
      let kept = 0;
      for (const { text, end } of lines) {
        const item = parser.parse(text);
        if (item.type === "header") requireSame(file, asked, item.header.asked);
        if (item.type === "end") lastTaskId = item.end.taskId;
        if (parser.isBetweenTasks) kept = end;
      }
      if (kept === 0) continue;
      const { counts, isComplete } = parser;
      const header = parser.header!;
      // Of a frame, either all lines are kept, or those to keep are written again.
      const isWhole = kept === chunk.bytes.length;
      const offset = !isCompressed ? chunk.offset + kept : isWhole ? chunk.end : chunk.offset;
      const keptLines = !isCompressed || isWhole ? "" : chunk.bytes.toString("utf8", 0, kept);
      point = { header, offset, lines: keptLines, lastTaskId, counts, isComplete };
    }
  } catch (error) {
    if (error instanceof TruncatedArchive && point !== null) return point;
    if (!(error instanceof ArchiveError)) throw error;
    throw new UsageError(`--output: ${error.message}; give another file, or remove this one`, { cause: error });
  }
  return point;
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw new UsageError(`--output ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function requireSame(file: string, asked: AskedTasks, found: AskedTasks): void {
  const differing = (["since", "until", "kinds", "labels"] as const).filter(
    (name) => !isDeepStrictEqual(asked[name], found[name]),
  );
  if (differing.length === 0) return;
  throw new UsageError(`--output ${file}: the file is of an export with other arguments`, {
    problems: differing.map(
      (name) => `${name}: ${JSON.stringify(asked[name])}, in the file ${JSON.stringify(found[name])}`,
    ),
  });
}
