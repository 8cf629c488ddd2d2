import { existsSync, openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import type { PGliteOptions } from "@electric-sql/pglite";

/**
 * An empty database as an archive, which `npm run build:embedded` makes: unpacking it takes a second, making a database
 * from nothing takes six.
 */
export const EMPTY_DATABASE = join(import.meta.dirname, "..", "..", "..", "dist", "embedded", "empty-database.tar.gz");

/** Stands in a data folder while its database is made: without it a half-made one would be taken for whole. */
const UNFINISHED = "postgres.unfinished";

/** Whether a database was ever made in a data folder: to open one without is to make it. */
export function hasEmbedded(dataDir: string): boolean {
  return existsSync(filesIn(dataDir)) && !existsSync(join(dataDir, UNFINISHED));
}

/**
 * Opens Postgres in this process, on a folder that this process alone may have open; null: in memory. A database that
 * is not there, or whose making was cut off, is made.
 */
export async function openPglite(dataDir: string | null, options: PGliteOptions): Promise<PGlite> {
  if (dataDir === null) return PGlite.create({ ...options, ...(await empty()) });
  const files = filesIn(dataDir);
  if (hasEmbedded(dataDir)) return PGlite.create({ ...options, dataDir: files });
  const unfinished = join(dataDir, UNFINISHED);
  await writeFile(unfinished, "");
  await rm(files, { recursive: true, force: true });
  const pglite = await PGlite.create({ ...options, ...(await empty()), dataDir: files });
  await rm(unfinished);
  return pglite;
}

function filesIn(dataDir: string): string {
  return join(dataDir, "postgres");
}

/** Where the archive was not built, PGlite makes the database from nothing. */
async function empty(): Promise<Pick<PGliteOptions, "loadDataDir">> {
  return existsSync(EMPTY_DATABASE) ? { loadDataDir: await openAsBlob(EMPTY_DATABASE) } : {};
}
