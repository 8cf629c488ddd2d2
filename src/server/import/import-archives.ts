import { ArchiveParser } from "../../archive/archive-parser.ts";
import { readLines } from "../../archive/archive-lines-reader.ts";
import { findShardUrl } from "../../store/access/shards.ts";
import { databaseLocation, openDatabase } from "../../store/database.ts";
import type { Store } from "../../store/database.ts";
import { requireCurrentSchema } from "../../store/migrate.ts";
import { restartPacking } from "../../store/tapes/packing.ts";
import { readConfiguration } from "../config/configuration.ts";
import { asCommandError } from "../database-watch.ts";
import { TaskImporter } from "./task-importer.ts";
import type { ImportCounts } from "./task-importer.ts";

export type { ImportCounts } from "./task-importer.ts";

export interface ImportOptions {
  /** Settings of the database and the namespace. */
  flags: Record<string, string | undefined>;
  /** Called after each chunk of a file. */
  onProgress: (counts: Readonly<ImportCounts>) => void;
}

/**
 * Writes the tasks of files of `spool export` into the configured database. A task that exists already with the same
 * digest is skipped. Stops at the first error; the tasks before it are written.
 *
 * @throws ArchiveError, ConfigurationError, DatabaseTooOld, DatabaseTooNew, StoreUnavailable
 */
export async function importArchives(
  files: readonly string[],
  { flags, onProgress }: ImportOptions,
): Promise<ImportCounts> {
  const configuration = readConfiguration({ flags });
  const { namespace } = configuration;
  const home = await openDatabase(databaseLocation(configuration));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => home.close());
  const counts: ImportCounts = { tasks: 0, events: 0, skipped: 0, withoutRequestId: 0 };
  try {
    await requireCurrentSchema(home.db);
    const url = await findShardUrl(home.db, namespace);
    const store = url === null ? home : await openDatabase({ url });
    if (store !== home) opened.defer(() => store.close());
    for (const file of files) await importArchive(store, { file, namespace, counts, onProgress });
    return counts;
  } catch (error) {
    throw asCommandError(error);
  }
}

/** Writes the tasks of one file. If the file is damaged, writes the tasks before the damage, and then throws. */
async function importArchive(
  store: Store,
  options: { file: string; namespace: string; counts: ImportCounts; onProgress: ImportOptions["onProgress"] },
): Promise<void> {
  const { file, counts, onProgress } = options;
  const parser = new ArchiveParser(file);
  const importer = new TaskImporter(store.db, options);
  const end = async () => {
    await importer.flush();
    // The tasks ended before the place that the packing of tapes has reached. So did those of a killed import.
    if (counts.tasks + counts.skipped > 0) await restartPacking(store.db, options.namespace);
  };
  try {
    for await (const { lines } of readLines(file)) {
      for (const { text } of lines) await importLine(parser, importer, text);
      onProgress(counts);
    }
    parser.finish();
  } catch (error) {
    await importer.discard();
    await end();
    throw error;
  }
  await end();
}

async function importLine(parser: ArchiveParser, importer: TaskImporter, text: string): Promise<void> {
  const item = parser.parse(text);
  switch (item.type) {
    case "task":
      return importer.begin(item.task, parser.line);
    case "event":
      return importer.add(item.event);
    case "end":
      return importer.end(item.end.sha256);
    case "discard":
      return importer.discard();
    case "header":
    case "footer":
  }
}
