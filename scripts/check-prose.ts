// `npm run prose`: holds the docs, the proto files, and the comments and messages of the code to plain English.

import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXCEPTIONS } from "./prose/exceptions.ts";
import { findBannedTurns, findLongSentences, findLongSubjects } from "./prose/findings.ts";
import type { Finding } from "./prose/findings.ts";
import { passagesOfCode, passagesOfMarkdown, passagesOfProto } from "./prose/passages.ts";

const ROOT = join(import.meta.dirname, "..");
const SUBJECTS_MAX = 50;

const found = findInFiles().filter(
  ({ file, problem }) =>
    !EXCEPTIONS.some((exception) => exception.file === file && problem.includes(exception.problem)),
);
const findings = [...found, ...findLongSubjects(readSubjects())];
for (const { file, line, problem } of findings) console.error(`${file}:${line}: ${problem}`);
process.exitCode = findings.length > 0 ? 1 : 0;

function findInFiles(): Finding[] {
  const pages = globSync(["README.md", "CONTRIBUTING.md", "docs/**/*.md", "clients/*/README.md"], { cwd: ROOT });
  const protos = globSync("proto/spool/**/*.proto", { cwd: ROOT });
  const code = globSync(["src/**/*.ts", "src/**/*.tsx"], { cwd: ROOT }).filter((file) => !file.startsWith("src/gen/"));
  return [
    ...pages.toSorted().flatMap((file) => findInText(file, passagesOfMarkdown(read(file)))),
    ...protos.toSorted().flatMap((file) => findInText(file, passagesOfProto(read(file)))),
    ...code.toSorted().flatMap((file) => findBannedTurns(file, passagesOfCode(read(file)))),
  ];
}

function findInText(file: string, passages: ReturnType<typeof passagesOfMarkdown>): Finding[] {
  return [...findBannedTurns(file, passages), ...findLongSentences(file, passages)];
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** Returns the subjects of the branch's commits, or of the last {@link SUBJECTS_MAX} on main. None outside of a repository. */
function readSubjects(): string[] {
  const base = git("merge-base", "HEAD", "origin/main") || git("merge-base", "HEAD", "main");
  const isBranch = base !== "" && base !== git("rev-parse", "HEAD");
  const range = isBranch ? [`${base}..HEAD`] : ["-n", `${SUBJECTS_MAX}`];
  return git("log", "--no-merges", "--format=%s", ...range)
    .split("\n")
    .filter(Boolean);
}

function git(...args: string[]): string {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}
