import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { TARGET } from "../../../scripts/packages/manifests.ts";

const run = promisify(execFile);

export const ROOT = join(import.meta.dirname, "..", "..", "..");
const PROJECT = join(import.meta.dirname, "..", "project");
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };

/** The packed packages. */
export const TARBALLS = {
  client: join(TARGET, `spooltape-client-${VERSION}.tgz`),
  knowledge: join(TARGET, `spooltape-knowledge-${VERSION}.tgz`),
  server: join(TARGET, `spooltape-${VERSION}.tgz`),
};

/** Node of the oldest major that the client promises, and the Node of the tests. */
export const NODE_MAJORS = [22, 24] as const;

const folders: string[] = [];

/** Makes an empty folder outside of the checkout, in which nothing but installed packages is found. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "spool-packages-"));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Installs packages as a user does, into a folder of its own. */
export async function install(...packages: string[]): Promise<string> {
  const folder = emptyFolder();
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...packages], { cwd: folder });
  return folder;
}

/** Counts the installed packages of a folder, and their size in MB. */
export async function measure(folder: string): Promise<{ packages: number; megabytes: number }> {
  const manifests = globSync("**/node_modules/{*,@*/*}/package.json", { cwd: folder });
  const { stdout } = await run("du", ["-sm", join(folder, "node_modules")]);
  return { packages: manifests.length, megabytes: Number.parseInt(stdout, 10) };
}

/** Adds files of the test's project to a folder, and a schema library and types from the checkout. */
export function addProject(folder: string, files: readonly string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(PROJECT, file), join(folder, file));
  }
  for (const name of ["valibot", "@types/node", "undici-types"]) {
    const link = join(folder, "node_modules", name);
    if (existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link);
  }
}

let oldNode: Promise<string> | undefined;

/** Returns the program of a Node. The one of the tests is at hand; another is installed from npm. */
export async function nodeOf(major: (typeof NODE_MAJORS)[number]): Promise<string> {
  if (process.version.startsWith(`v${major}.`)) return process.execPath;
  oldNode ??= install(`node-${process.platform}-${process.arch}@${major}`);
  return join(await oldNode, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
}
