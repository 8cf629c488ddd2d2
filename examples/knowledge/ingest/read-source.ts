import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { FileError, unreadable } from "./file-error.ts";
import { isInside, openInside } from "./open-inside.ts";

/** A larger file is no document that a person wrote; and one at a time is held in memory. */
export const FILE_BYTES_MAX = 8 * 1024 * 1024;
/** In UTF-8. With the namespace it must fit a row of a Postgres index, which is at most 2,704 bytes. */
export const FILE_PATH_BYTES_MAX = 2_048;

/** A source's bytes and their SHA-256, in hex. */
export interface SourceBytes {
  bytes: Buffer;
  sha256: string;
}

/**
 * Reads a file below the sources, after a check that what was opened is in them.
 *
 * @param sources from resolveSources
 * @throws FileError outside, unreadable, too_large, path_too_long
 */
export async function readSource(sources: string, path: string): Promise<SourceBytes> {
  if (Buffer.byteLength(path) > FILE_PATH_BYTES_MAX) {
    throw new FileError("path_too_long", `the path is longer than ${FILE_PATH_BYTES_MAX} bytes`);
  }
  try {
    const real = await realpath(join(sources, path));
    if (!isInside(sources, real)) throw new FileError("outside", "the link leads out of the sources");
    await using opened = await openInside(sources, real);
    const bytes = await readWhole(opened.handle);
    return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
  } catch (error) {
    throw error instanceof FileError ? error : unreadable("the file cannot be read", error);
  }
}

/** A source's text, without a byte order mark. @throws FileError encoding, nul */
export function decodeSource(bytes: Buffer): string {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError("encoding", "the file is not UTF-8");
  }
  if (text.includes("\0")) throw new FileError("nul", "the file holds a NUL character");
  return text;
}

async function readWhole(file: FileHandle): Promise<Buffer> {
  const stats = await file.stat();
  if (!stats.isFile()) throw new FileError("unreadable", "it is not a file any more");
  if (stats.size > FILE_BYTES_MAX) {
    throw new FileError("too_large", `the file has ${stats.size} bytes; at most ${FILE_BYTES_MAX} are ingested`);
  }
  // A byte more than there should be, to see the file grow: half of what is being written is not its content.
  const buffer = Buffer.allocUnsafe(stats.size + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length !== stats.size) throw new FileError("unreadable", "the file changed while it was read");
  return buffer.subarray(0, length);
}
