import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import { UsageError } from "../options/usage-error.ts";
import { quote } from "../output/quote.ts";
import { escapeText } from "../output/escape-text.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { packageFile } from "../package-file.ts";

/** A file of a new project. */
interface ProjectFile {
  /** Relative to the project's folder. */
  readonly path: string;
  readonly text: string;
}

/** npm leaves a file of the name .gitignore out of a package. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: ".gitignore" };

/**
 * Makes a project in a folder from `templates/project`, and prints what to do next.
 *
 * @throws UsageError if a file of the project exists; then no file was written
 */
export async function initProject(folder: string, { json }: { json: boolean }): Promise<void> {
  const root = resolve(folder);
  const files = readTemplate({ __NAME__: packageName(root), __SPOOL_VERSION__: manifest.version });
  refuseExisting(root, folder, files);
  try {
    for (const { path, text } of files) {
      const target = join(root, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { flag: "wx" });
    }
  } catch (error) {
    throw new UsageError(`init: ${(error as Error).message}`, { cause: error });
  }
  const paths = files.map(({ path }) => path);
  await writeOut(json ? `${jsonText({ folder: root, files: paths })}\n` : nextSteps(folder, paths));
}

function readTemplate(values: Readonly<Record<string, string>>): ProjectFile[] {
  const template = packageFile(join("templates", "project"));
  const entries = readdirSync(template, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries
    .map(({ parentPath, name }): ProjectFile => {
      const text = readFileSync(join(parentPath, name), "utf8");
      return {
        path: join(relative(template, parentPath), RENAMED[name] ?? name),
        text: text.replaceAll(/__[A-Z_]+__/g, (placeholder) => values[placeholder] ?? placeholder),
      };
    })
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function refuseExisting(root: string, folder: string, files: readonly ProjectFile[]): void {
  if (existsSync(root) && !statSync(root).isDirectory()) {
    throw new UsageError(`init: ${folder} is not a folder; give a new or an empty folder`);
  }
  const existing = files.map(({ path }) => path).filter((path) => existsSync(join(root, path)));
  if (existing.length === 0) return;
  throw new UsageError(`init: ${folder} has files that init would overwrite; remove them or give another folder`, {
    problems: existing,
  });
}

/** Returns the folder's name as npm allows it for a package. */
function packageName(root: string): string {
  const name = basename(root)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "");
  return name === "" || name === "spooltape" ? "spool-project" : name.slice(0, 100);
}

function nextSteps(folder: string, paths: readonly string[]): string {
  const steps = [
    ...(folder === "." ? [] : [`cd ${quote(folder)}`]),
    "npm install",
    "npm test",
    "npm run serve    # a server on this machine, with its own database",
    "npm run worker   # in another terminal",
    "npm start        # in a third one: starts a task and follows it",
  ];
  const list = (lines: readonly string[]) => lines.map((line) => `  ${escapeText(line)}\n`).join("");
  return `made in ${escapeText(folder)}:\n${list(paths)}\nnext:\n${list(steps)}`;
}
