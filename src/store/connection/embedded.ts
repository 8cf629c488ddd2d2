import { existsSync, openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import type { PGliteOptions } from "@electric-sql/pglite";

/**
 * The archive of an empty database, from `npm run build:embedded`. To unpack it takes a second; to create a database
 * without it takes six.
 */
export const EMPTY_DATABASE = join(import.meta.dirname, "..", "..", "..", "dist", "embedded", "empty-database.tar.gz");

/** A file in the data folder while its database is created. It marks a database whose creation was interrupted. */
const UNFINISHED = "postgres.unfinished";

/** Whether a data folder holds a complete database. If not, `openPglite` creates one. */
export function hasEmbedded(dataDir: string): boolean {
  return existsSync(filesIn(dataDir)) && !existsSync(join(dataDir, UNFINISHED));
}

/**
 * Opens Postgres in this process, on a folder that no other process may have open; null: in memory. Creates the
 * database if it does not exist, or if its creation was interrupted.
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

/** Returns the archive of an empty database, if it was built. Without it, PGlite creates the database from scratch. */
async function empty(): Promise<Pick<PGliteOptions, "loadDataDir">> {
  return existsSync(EMPTY_DATABASE) ? { loadDataDir: await openAsBlob(EMPTY_DATABASE) } : {};
}
