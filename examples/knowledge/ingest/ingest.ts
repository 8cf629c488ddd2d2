import { defineKind } from "@spooltape/client";
import type { JsonObject, Kind, KindDatabase, TaskContext } from "@spooltape/client";
import * as v from "valibot";
import { readDigests, removeDocuments, replaceDocument } from "../documents.ts";
import { ErrorReport } from "../reported-errors.ts";
import { forEachSource } from "../source-loop.ts";
import { ALL_SOURCES, sourcePath } from "../source-path.ts";
import { FileError } from "./file-error.ts";
import { parseSource } from "./parse.ts";
import { decodeSource, readSource } from "./read-source.ts";
import { resolveSources, walkSources } from "./walk.ts";
import type { Found } from "./walk.ts";

/** The walk says how far it is once for so many files. */
const FILES_PER_SCAN_EVENT = 1_000;

export interface IngestSettings {
  db: KindDatabase;
  namespace: string;
  /** The folder that every path is below; nothing outside is read. */
  sourcesDir: string;
}

const params = v.strictObject({ path: sourcePath });

/**
 * Reads a tree of Markdown, HTML and text files into documents and chunks that Postgres can search.
 *
 * What has not changed since, by its content, is skipped; what is gone is removed; a file that cannot be read becomes
 * a `file_error` partial and is in the report's `errors`, and the document that it was before stays. Each document is
 * replaced in one commit, so a cancel or a crash leaves whole ones, and running it again does the rest; a server that
 * stops hands it on, and the report is of the whole all the same.
 *
 * Fails with PATH_NOT_FOUND, PATH_OUTSIDE_SOURCES or TREE_TOO_LARGE.
 */
export function ingestKind(settings: IngestSettings): Kind {
  return defineKind({
    name: "ingest",
    params,
    exclusive: ({ path }) => `ingest:${path}`,
    resumable: true,
    run: (task) => ingest(settings, task),
  });
}

async function ingest(
  { db, namespace, sourcesDir }: IngestSettings,
  task: TaskContext<v.InferOutput<typeof params>>,
): Promise<JsonObject> {
  const { path } = task.params;
  const sources = await resolveSources(sourcesDir);
  // Before the walk: what another ingest adds while this one walks is not known here, and so not taken for gone.
  const known = await readDigests(db, { namespace, path });
  const found = await scan(sources, task);
  const counts = { added: 0, updated: 0, unchanged: 0, chunks: 0 };
  const errors = new ErrorReport();

  /** The error of one file goes on the tape and into the report; every other error ends the task. */
  async function ingestFile(file: Found): Promise<"added" | "updated" | "unchanged" | "error"> {
    try {
      if (file.error !== undefined) throw file.error;
      const { bytes, sha256 } = await readSource(sources, file.path);
      const before = known.get(file.path);
      if (before === sha256) return "unchanged";
      const { title, frontMatter, chunks } = parseSource(file.path, decodeSource(bytes));
      const document = { path: file.path, sha256, bytes: bytes.length, title, frontMatter, chunks };
      await replaceDocument(db, { namespace, document });
      counts.chunks += chunks.length;
      return before === undefined ? "added" : "updated";
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      const entry = { path: file.path, kind: error.kind, message: error.message };
      errors.add(entry);
      await task.partial("file_error", entry);
      return "error";
    }
  }

  await forEachSource(task, { phase: "ingest", sources: found, comparePaths, counts, errors }, ingestFile);
  const removed = await removeDocuments(db, { namespace, paths: goneFrom(known.keys(), found) });
  return { path, scanned: found.length, ...counts, removed, ...errors.report() };
}

/** Everything that the walk finds, in the order of the paths. */
async function scan(sources: string, task: TaskContext<{ path: string }>): Promise<Found[]> {
  const found: Found[] = [];
  for await (const file of walkSources(sources, { path: task.params.path, signal: task.signal })) {
    found.push(file);
    if (found.length % FILES_PER_SCAN_EVENT === 0) await task.progress("scan", found.length);
  }
  await task.progress("scan", found.length, found.length);
  return found.sort((a, b) => comparePaths(a.path, b.path));
}

function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The documents whose files are gone: not those of a file that is there but broken, nor of a folder that could not be
 * read, of which nothing is known; but those behind a link that leads out, which are not in the sources any more.
 */
function goneFrom(known: Iterable<string>, found: readonly Found[]): string[] {
  const there = new Set(found.filter((file) => file.error?.kind !== "outside").map((file) => file.path));
  return [...known].filter((path) => !pathsTo(path).some((above) => there.has(above)));
}

/** A path and every folder that it is in: a/b.md is in a, and in the whole tree. */
function pathsTo(path: string): string[] {
  const segments = path.split("/");
  return [...segments.map((_, index) => segments.slice(0, index + 1).join("/")), ALL_SOURCES];
}
