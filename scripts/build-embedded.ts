// `npm run build:embedded`, which npm's `prepare` runs too: makes the empty database that an embedded one begins as,
// unless it is there already, made by the same version of PGlite.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { EMPTY_DATABASE } from "../src/store/connection/embedded.ts";

const ROOT = join(import.meta.dirname, "..");
const MADE_BY = join(dirname(EMPTY_DATABASE), "made-by.txt");

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  dependencies: Record<"@electric-sql/pglite", string>;
};
const maker = manifest.dependencies["@electric-sql/pglite"];
const isMade = existsSync(EMPTY_DATABASE) && existsSync(MADE_BY) && readFileSync(MADE_BY, "utf8") === maker;
if (!isMade) {
  const pglite = await PGlite.create();
  // A start fills the buffers with zeros; what is not in them is in the file cache of the system.
  await pglite.query("alter system set shared_buffers = '32MB'");
  await pglite.query("checkpoint");
  const archive = await pglite.dumpDataDir("gzip");
  await pglite.close();
  mkdirSync(dirname(EMPTY_DATABASE), { recursive: true });
  // Others may be reading the old one.
  const fresh = `${EMPTY_DATABASE}.${process.pid}`;
  writeFileSync(fresh, await archive.bytes());
  renameSync(fresh, EMPTY_DATABASE);
  writeFileSync(MADE_BY, maker);
}
