import { createReadStream } from "node:fs";
import { ArchiveError, TruncatedArchive } from "./archive-error.ts";
import { decompressFrame, FRAME_BYTES_MAX, frameSize, ZSTD_MAGIC } from "./zstd-frames.ts";

/** A piece of a file that can be read by itself: a zstd frame, or a part of a plain file. */
export interface ArchiveChunk {
  /** Where it begins in the file. */
  offset: number;
  /** Where it ends in the file. */
  end: number;
  /** The lines, decompressed. Of a plain file, the first and the last may be parts of lines. */
  bytes: Buffer;
  isCompressed: boolean;
}

const READ_BYTES = 1024 * 1024;
const MAGIC_BYTES = 4;

/**
 * Reads a file in chunks, compressed or not.
 *
 * @throws ArchiveError if a frame is damaged or too large; TruncatedArchive if the file ends within a frame
 */
export async function* readChunks(file: string): AsyncGenerator<ArchiveChunk> {
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  let isCompressed: boolean | null = null;
  for await (const part of createReadStream(file, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? part : Buffer.concat([rest, part]);
    if (rest.length < MAGIC_BYTES) continue;
    isCompressed ??= rest.readUInt32LE(0) === ZSTD_MAGIC;
    if (!isCompressed) {
      yield { offset, end: offset + rest.length, bytes: rest, isCompressed };
      offset += rest.length;
      rest = Buffer.alloc(0);
      continue;
    }
    for (;;) {
      const size = at(file, offset, () => frameSize(rest));
      if (size === null) break;
      const bytes = await decompressFrame(rest.subarray(0, size)).catch((error: unknown) => {
        throw new ArchiveError(file, null, `the zstd frame at byte ${offset} is damaged: ${(error as Error).message}`);
      });
      yield { offset, end: offset + size, bytes, isCompressed };
      offset += size;
      rest = rest.subarray(size);
    }
    if (rest.length > FRAME_BYTES_MAX) {
      const limit = `a zstd frame has more than ${FRAME_BYTES_MAX} bytes: decompress the file, and import the plain one`;
      throw new ArchiveError(file, null, limit);
    }
  }
  if (rest.length === 0) return;
  if (isCompressed === null) yield { offset, end: offset + rest.length, bytes: rest, isCompressed: false };
  else throw new TruncatedArchive(file, null, `ends within the zstd frame at byte ${offset}`);
}

function at<Result>(file: string, offset: number, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new ArchiveError(file, null, `byte ${offset}: ${(error as Error).message}`);
  }
}
