// `npm run build:embedded`, which npm's `prepare` runs too: makes the migrated database without tasks that an embedded
// database begins as, unless the present one was made by the same version of PGlite and the same steps.

import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect } from "kysely";
import { EMPTY_DATABASE } from "../src/store/connection/embedded.ts";
import { migrate } from "../src/store/migrate.ts";
import type { Database } from "../src/store/schema.ts";

const ROOT = join(import.meta.dirname, "..");
const TARGET = dirname(EMPTY_DATABASE);
const MADE_BY = join(TARGET, "made-by.txt");

const maker = describeMaker();
const isMade = existsSync(EMPTY_DATABASE) && existsSync(MADE_BY) && readFileSync(MADE_BY, "utf8") === maker;
if (!isMade) {
  const pglite = await PGlite.create();
  // A start fills the buffers with zeros; what is not in them is in the file cache of the system.
  await pglite.query("alter system set shared_buffers = '32MB'");
  const db = new Kysely<Database>({ dialect: new PGliteDialect({ pglite }) });
  await migrate(db);
  // An embedded database is one database. Without the templates of others, the archive and each copy are half as large.
  await pglite.query("update pg_database set datistemplate = false");
  for (const template of ["template0", "template1"]) await pglite.query(`drop database ${template}`);
  await pglite.query("checkpoint");
  const archive = await pglite.dumpDataDir("gzip");
  await db.destroy();
  mkdirSync(TARGET, { recursive: true });
  // Others may be reading the old one.
  const fresh = `${EMPTY_DATABASE}.${process.pid}`;
  writeFileSync(fresh, await archive.bytes());
  renameSync(fresh, EMPTY_DATABASE);
  writeFileSync(MADE_BY, maker);
  for (const old of globSync(join(TARGET, "*.tar.gz"))) if (old !== EMPTY_DATABASE) rmSync(old);
}

/** Returns the version of PGlite and the digest of the steps of the schema. */
function describeMaker(): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    dependencies: Record<"@electric-sql/pglite", string>;
  };
  const digest = createHash("sha256");
  for (const file of globSync("src/store/{migrate.ts,schema-steps.ts,stages/*.ts,migrations/*.ts}", {
    cwd: ROOT,
  }).sort()) {
    digest.update(readFileSync(join(ROOT, file)));
  }
  return `PGlite ${manifest.dependencies["@electric-sql/pglite"]}, steps ${digest.digest("hex")}\n`;
}
