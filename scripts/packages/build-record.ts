import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, TARGET } from "./manifests.ts";

/** Everything that the packages are built from. */
const SOURCES = [
  "package{,-lock}.json",
  "{LICENSE,CHANGELOG.md}",
  "{src,packages,scripts,bin,man,templates}/**/*",
  "examples/knowledge/**/*",
  "dist/{console,embedded}/**/*",
];
const RECORD = join(TARGET, "built-from.txt");

/** Whether the packages were built from the present sources. */
export function isBuilt(): boolean {
  return existsSync(RECORD) && readFileSync(RECORD, "utf8") === digest();
}

/** Records the sources of a finished build. */
export function recordBuild(): void {
  writeFileSync(RECORD, digest());
}

function digest(): string {
  const hash = createHash("sha256");
  const entries = globSync(SOURCES, { cwd: ROOT, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const path of entries.map(({ parentPath, name }) => join(parentPath, name)).toSorted()) {
    hash.update(path).update("\0").update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}
