// `node scripts/changelog.ts VERSION`: prints the section of a version in CHANGELOG.md, as the notes of its release.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A version in the changelog, with the text of its section. */
export interface ChangelogSection {
  /** null: not released yet. */
  version: string | null;
  /** As YYYY-MM-DD. */
  date: string | null;
  text: string;
}

const HEADING = /^## (?:Unreleased|(\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2}))$/gm;

/** Returns the sections of CHANGELOG.md, the newest first. */
export function readChangelog(): ChangelogSection[] {
  const changelog = readFileSync(join(import.meta.dirname, "..", "CHANGELOG.md"), "utf8");
  const headings = [...changelog.matchAll(HEADING)];
  return headings.map((heading, index) => {
    const [line, version = null, date = null] = heading;
    const text = changelog.slice(heading.index + line.length, headings[index + 1]?.index).trim();
    return { version, date, text };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [version] = process.argv.slice(2);
  const section = readChangelog().find((candidate) => candidate.version === version);
  if (version === undefined || section === undefined) {
    console.error(`CHANGELOG.md has no section "## ${version ?? "VERSION"} - DATE"`);
    process.exitCode = 1;
  } else console.log(section.text);
}
