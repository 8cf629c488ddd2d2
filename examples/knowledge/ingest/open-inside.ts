import { constants } from "node:fs";
import type { BigIntStats } from "node:fs";
import { open, readlink, realpath, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { sep } from "node:path";
import { FileError } from "./file-error.ts";

// A path that was checked may lead elsewhere a moment later: a folder in it can be swapped for a link at any time. So
// what counts is where the file or folder is that was opened, and only what was opened is read.

/**
 * O_NOFOLLOW: the path has no link any more, so one that is there now was put there since it was resolved.
 * O_NONBLOCK: to open a pipe waits for a writer otherwise. All are missing on Windows.
 */
const FILE_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const FOLDER_FLAGS = FILE_FLAGS | (constants.O_DIRECTORY ?? 0);

/** A file or folder of the sources that is open. */
export interface Opened extends AsyncDisposable {
  readonly handle: FileHandle;
  /** By which it is read as it was opened, whatever its path leads to by now; its own path where the system has none. */
  readonly path: string;
}

/** Whether a path, with every link followed, is the folder of sources or in it. */
export function isInside(sources: string, real: string): boolean {
  return real === sources || real.startsWith(sources.endsWith(sep) ? sources : sources + sep);
}

/**
 * Opens a file or folder and checks that what was opened is in the sources.
 *
 * @param sources with every link in its path followed
 * @param real with every link followed, as of a moment ago
 * @param descriptors where the system has a link for each open file of this process; Linux has such a folder
 * @throws FileError outside, and errors of the system
 */
export async function openInside(
  sources: string,
  real: string,
  { isFolder = false, descriptors = "/proc/self/fd" }: { isFolder?: boolean; descriptors?: string } = {},
): Promise<Opened> {
  const handle = await open(real, isFolder ? FOLDER_FLAGS : FILE_FLAGS);
  try {
    const descriptor = `${descriptors}/${handle.fd}`;
    const at = await placeOf(descriptor);
    if (at === null ? !(await isStillAt(sources, real, handle)) : !isInside(sources, at)) {
      throw new FileError("outside", "the path leads out of the sources");
    }
    return {
      handle,
      path: at === null ? real : descriptor,
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Where the open file is now, as the kernel has it; null where the system does not say. */
async function placeOf(descriptor: string): Promise<string | null> {
  try {
    return await readlink(descriptor);
  } catch {
    return null;
  }
}

/**
 * Whether the path leads to the open file and through the sources. Two looks instead of one, for systems that do not
 * say where an open file is: whoever swaps a folder would have to swap it back and forth in between.
 */
async function isStillAt(sources: string, real: string, handle: FileHandle): Promise<boolean> {
  const opened = await handle.stat({ bigint: true });
  for (let look = 0; look < 2; look++) {
    const at = await realpath(real);
    if (!isInside(sources, at) || !isSame(opened, await stat(at, { bigint: true }))) return false;
  }
  return true;
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
