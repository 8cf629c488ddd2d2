import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

const ROOT = join(import.meta.dirname, "..");
/** Where the many processes of the tests find modules compiled that one of them has compiled before. */
const COMPILED = join(ROOT, "node_modules", ".cache", "spool-tests");
/** The last line of each run, by test/support/reporter.ts. */
const COUNTS = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm;
/** Where Mocha says what failed and why: up to the counts. */
const FAILURES = /^ +\d+ failing$[^]*?(?=^\d+ passed, )/m;

/**
 * Runs groups of test files side by side, a mocha process each: most tests wait most of their time. What the first
 * group prints is shown as it comes, and what the others do when all are over. The end repeats what failed, because logs
 * are often kept from the end only. The last line counts all groups.
 *
 * Sets the exit code. A group that ends without its counts, or otherwise than they say, is a failure more.
 *
 * @param options for each mocha, besides the files
 */
export async function runGroups(groups: readonly (readonly string[])[], options: readonly string[]): Promise<void> {
  const runs = await Promise.all(groups.map((files, index) => run([...options, ...files], { isShown: index === 0 })));
  for (const { output } of runs.slice(1)) process.stdout.write(output);
  let [passed, failed, skipped] = [0, 0, 0];
  for (const { output, code } of runs) {
    const counts = [...output.matchAll(COUNTS)]
      .at(-1)
      ?.slice(1)
      .map((count) => Number(count ?? 0)) ?? [0, 0, 0];
    passed += counts[0]!;
    failed += counts[1] === 0 && code !== 0 ? 1 : counts[1]!;
    skipped += counts[2]!;
  }
  for (const { output } of runs) process.stdout.write(stripVTControlCharacters(output).match(FAILURES)?.[0] ?? "");
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
}

async function run(words: readonly string[], { isShown }: { isShown: boolean }) {
  const mocha = spawn(process.execPath, ["node_modules/mocha/bin/mocha.js", ...words], {
    cwd: ROOT,
    env: { NODE_COMPILE_CACHE: COMPILED, ...process.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  mocha.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (isShown) process.stdout.write(text);
  });
  const [code] = (await once(mocha, "close")) as [number | null];
  return { output, code };
}
