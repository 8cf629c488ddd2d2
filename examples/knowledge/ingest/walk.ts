import type { Dirent } from "node:fs";
import { opendir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { TaskError } from "@spooltape/client";
import { ALL_SOURCES, isSkippedName } from "../source-path.ts";
import { FileError, systemCode, unreadable } from "./file-error.ts";
import { isInside, openInside } from "./open-inside.ts";
import { isSource } from "./parse.ts";

/** The files and folders of one ingest. Links within the tree can make one of any size, so both are bounded. */
export const WALK_LIMITS = { filesMax: 100_000, foldersMax: 100_000 };

/** A file to ingest by its path below the sources, or what stands in the way of a file or folder. */
export interface Found {
  path: string;
  error?: FileError;
}

/** A folder under its path below the sources. */
interface Folder {
  path: string;
  /** Where it is once every link has been followed. */
  real: string;
  /** The folder that led here. */
  parent: Folder | null;
}

/** The folder of all sources, with every link in its path followed. @throws TaskError PATH_NOT_FOUND */
export async function resolveSources(sourcesDir: string): Promise<string> {
  try {
    return await realpath(sourcesDir);
  } catch (error) {
    throw new TaskError("PATH_NOT_FOUND", `the folder of sources cannot be read (${systemCode(error)})`);
  }
}

/**
 * Finds the sources at or below a path, in no order. Links within the sources are followed, and what they lead to has
 * the path of the link; a link back to a folder that it lies in is passed over, for it holds nothing new. Pipes,
 * sockets and devices are passed over too. A folder is listed as it was opened, after a check that it is in the sources.
 *
 * @param sources from resolveSources
 * @throws TaskError PATH_NOT_FOUND, PATH_OUTSIDE_SOURCES, and TREE_TOO_LARGE past the limits
 */
export async function* walkSources(
  sources: string,
  { path, limits = WALK_LIMITS, signal }: { path: string; limits?: typeof WALK_LIMITS; signal: AbortSignal },
): AsyncGenerator<Found> {
  const root = await resolveRoot(sources, path);
  if (!root.isFolder) {
    const named = isSource(path)
      ? null
      : new FileError("unsupported", "is not a Markdown, HTML or text file by its name");
    yield named === null ? { path } : { path, error: named };
    return;
  }
  const folders: Folder[] = [{ path, real: root.real, parent: null }];
  let filesCount = 0;
  let foldersCount = 1;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of entriesOf(folder, sources)) {
      signal.throwIfAborted();
      if ("real" in entry) {
        if (++foldersCount > limits.foldersMax) throw treeTooLarge(`${limits.foldersMax} folders`);
        folders.push(entry);
      } else {
        if (++filesCount > limits.filesMax) throw treeTooLarge(`${limits.filesMax} sources`);
        yield entry;
      }
    }
  }
}

async function resolveRoot(sources: string, path: string): Promise<{ real: string; isFolder: boolean }> {
  try {
    const real = await realpath(join(sources, path));
    if (!isInside(sources, real)) {
      throw new TaskError("PATH_OUTSIDE_SOURCES", `${path} leads out of the folder of sources`, { retryable: false });
    }
    const stats = await stat(real);
    if (stats.isDirectory() || stats.isFile()) return { real, isFolder: stats.isDirectory() };
  } catch (error) {
    if (error instanceof TaskError) throw error;
    throw new TaskError("PATH_NOT_FOUND", `${path} cannot be found in the folder of sources (${systemCode(error)})`);
  }
  throw new TaskError("PATH_NOT_FOUND", `${path} is neither a file nor a folder`);
}

async function* entriesOf(folder: Folder, sources: string): AsyncGenerator<Found | Folder> {
  try {
    await using opened = await openInside(sources, folder.real, { isFolder: true });
    for await (const entry of await opendir(opened.path)) {
      if (isSkippedName(entry.name)) continue;
      const resolved = entry.isSymbolicLink() ? await followLink(folder, entry, sources) : readEntry(folder, entry);
      if (resolved !== null) yield resolved;
    }
  } catch (error) {
    // Whoever consumes this throws elsewhere; what arrives here is of the opening, or of the listing halfway through.
    const problem = error instanceof FileError ? error : unreadable("the folder cannot be read", error);
    yield { path: folder.path, error: problem };
  }
}

function readEntry(folder: Folder, entry: Dirent): Found | Folder | null {
  const path = pathIn(folder, entry.name);
  if (entry.isDirectory()) return { path, real: join(folder.real, entry.name), parent: folder };
  return entry.isFile() && isSource(entry.name) ? { path } : null;
}

async function followLink(folder: Folder, entry: Dirent, sources: string): Promise<Found | Folder | null> {
  const path = pathIn(folder, entry.name);
  let real, stats;
  try {
    real = await realpath(join(folder.real, entry.name));
    stats = await stat(real);
  } catch (error) {
    // What it was meant to lead to is not known: only a link with the name of a source is missed.
    return isSource(entry.name) ? { path, error: unreadable("the link cannot be followed", error) } : null;
  }
  if (!stats.isDirectory() && !(stats.isFile() && isSource(entry.name))) return null;
  if (!isInside(sources, real)) return { path, error: new FileError("outside", "the link leads out of the sources") };
  if (!stats.isDirectory()) return { path };
  return liesIn(folder, real) ? null : { path, real, parent: folder };
}

function liesIn(folder: Folder, real: string): boolean {
  for (let above: Folder | null = folder; above !== null; above = above.parent) {
    if (above.real === real) return true;
  }
  return false;
}

function pathIn(folder: Folder, name: string): string {
  return folder.path === ALL_SOURCES ? name : `${folder.path}/${name}`;
}

function treeTooLarge(most: string): TaskError {
  return new TaskError("TREE_TOO_LARGE", `there are more than ${most} below the path; ingest it in parts`, {
    retryable: false,
  });
}
