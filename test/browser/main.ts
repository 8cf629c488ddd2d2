// `npm run test:browser [-- ARGUMENTS OF MOCHA]`: the console in Chromium, on servers of its own. Most of the time is
// spent waiting, for connections that were cut to come back: so that is done beside all the rest, with a browser each.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { CHROMIUM } from "./support/stage.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Files that run beside the others, and beside each other. */
const APART = [["connection"], ["event-source"]];
const OPTIONS = [
  "--no-config",
  "--timeout=20000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
  "--require=./test/browser/support/stage.ts",
];

if (!existsSync(CHROMIUM)) {
  console.error(`There is no Chromium at ${CHROMIUM}: SPOOL_TEST_CHROMIUM names another place.`);
  process.exit(1);
}

// The page as it is now, not as it was when the dependencies were installed.
await import("../../scripts/build-console.ts");

const files = globSync("test/browser/*.browser.ts", { cwd: ROOT })
  .map((file) => basename(file, ".browser.ts"))
  .sort();
const others = files.filter((file) => !APART.flat().includes(file));
const outputs = await Promise.all([...APART, others].map(run));

const count = (pattern: RegExp) =>
  outputs.reduce((sum, output) => sum + Number(output.matchAll(pattern).toArray().at(-1)?.[1] ?? 0), 0);
console.log(`${count(/^(\d+) passed/gm)} passed, ${count(/^\d+ passed, (\d+) failed/gm)} failed`);

/** Runs some of the files, and prints what that has printed when it is over. */
async function run(names: readonly string[]): Promise<string> {
  const some = names.map((name) => `test/browser/${name}.browser.ts`);
  const mocha = spawn(
    process.execPath,
    ["node_modules/mocha/bin/mocha.js", ...OPTIONS, ...process.argv.slice(2), ...some],
    {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const [output, [code]] = await Promise.all([text(mocha.stdout), once(mocha, "exit") as Promise<[number | null]>]);
  process.stdout.write(output);
  if (code !== 0) process.exitCode = 1;
  return output;
}
