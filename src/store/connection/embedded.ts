import { existsSync, openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import type { PGliteOptions } from "@electric-sql/pglite";
import { SCHEMA_VERSION } from "../migrate.ts";

/**
 * The archive of a database without tasks, at this program's schema, from `npm run build:embedded`. Unpacking it takes
 * half a second; creating and migrating a database without it takes several.
 */
export const EMPTY_DATABASE = join(
  dirname(findPackageJSON(import.meta.url)!),
  "dist",
  "embedded",
  `empty-database-${SCHEMA_VERSION}.tar.gz`,
);

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
