import { ArchiveError, TruncatedArchive } from "./archive-error.ts";
import { readChunks } from "./archive-chunks.ts";
import type { ArchiveChunk } from "./archive-chunks.ts";
import { LINE_BYTES_MAX } from "./archive-lines.ts";

/** The lines that end in a chunk. */
export interface ChunkLines {
  chunk: ArchiveChunk;
  lines: {
    text: string;
    /** Where the line ends, its line feed included, among the bytes of the chunk. */
    end: number;
  }[];
}

const LINE_FEED = 0x0a;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the lines of a file, chunk by chunk.
 *
 * @throws ArchiveError if the file is damaged, or a line is too long; TruncatedArchive if the last line has no end
 */
export async function* readLines(file: string): AsyncGenerator<ChunkLines> {
  let part = Buffer.alloc(0);
  let number = 1;
  for await (const chunk of readChunks(file)) {
    const lines: ChunkLines["lines"] = [];
    const { bytes } = chunk;
    let start = 0;
    for (let feed = bytes.indexOf(LINE_FEED); feed !== -1; feed = bytes.indexOf(LINE_FEED, start)) {
      const line = bytes.subarray(start, feed);
      lines.push({
        text: decode(file, number++, part.length === 0 ? line : Buffer.concat([part, line])),
        end: feed + 1,
      });
      part = Buffer.alloc(0);
      start = feed + 1;
    }
    if (start < bytes.length) part = Buffer.concat([part, bytes.subarray(start)]);
    if (part.length > LINE_BYTES_MAX) throw new ArchiveError(file, number, `longer than ${LINE_BYTES_MAX} bytes`);
    yield { chunk, lines };
  }
  if (part.length > 0) throw new TruncatedArchive(file, number, "ends within this line");
}

function decode(file: string, number: number, line: Buffer): string {
  try {
    return utf8.decode(line);
  } catch {
    throw new ArchiveError(file, number, "must be UTF-8");
  }
}
