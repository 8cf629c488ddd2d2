import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";

const ROOT = join(import.meta.dirname, "..", "..");
const COPIED = ["src", "test/engine", "test/support", "package.json"];

/** A bug: a place in a file, and what it becomes. */
export interface PlantedBug {
  bug: string;
  file: string;
  line: string;
  becomes: string;
}

/** A program that looks for bugs. It marks what it finds with ✗, and then exits with 1. */
interface Search {
  main: string;
  args: readonly string[];
}

/**
 * Plants one bug after the other in a copy of the sources, and lets the search look for it. This shows that the search
 * finds bugs at all. Sets the exit code to 1 if it misses one.
 */
export async function findPlantedBugs(bugs: readonly PlantedBug[], search: Search): Promise<void> {
  let missed = 0;
  for (const planted of bugs) {
    const { isFound, output } = await plant(planted, search);
    const [found = "nothing was found"] = /(?<=✗ ).*/.exec(output) ?? [];
    console.log(`${styleText(isFound ? "green" : "red", isFound ? "✓" : "✗")} ${planted.file}: ${planted.bug}`);
    console.log(styleText("dim", `    ${found}`));
    if (!isFound) missed++;
  }
  console.log(`${bugs.length - missed} of ${bugs.length} planted bugs were found`);
  process.exitCode = missed === 0 ? 0 : 1;
}

async function plant(
  { file, line, becomes }: PlantedBug,
  { main, args }: Search,
): Promise<{ isFound: boolean; output: string }> {
  using copy = mkdtempDisposableSync(join(tmpdir(), "spool-planted-"));
  for (const folder of COPIED) cpSync(join(ROOT, folder), join(copy.path, folder), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
  const path = join(copy.path, file);
  const source = readFileSync(path, "utf8");
  if (source.split(line).length !== 2) throw new Error(`${file} does not have exactly once: ${line}`);
  writeFileSync(
    path,
    source.replace(line, () => becomes),
  );
  const run = spawn(process.execPath, [join(copy.path, main), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  run.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(run, "close")) as [number | null];
  return { isFound: code === 1 && output.includes("✗"), output };
}
