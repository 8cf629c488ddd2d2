// `npm run test:browser [-- ARGUMENTS OF MOCHA]`: the console in Chromium, on servers of its own. Most of the time is
// spent waiting, for connections that were cut to come back: so that is done beside all the rest, with a browser each.

import { existsSync, globSync } from "node:fs";
import { basename, join } from "node:path";
import { runGroups } from "../../scripts/mocha-groups.ts";
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
const groups = [...APART, others].map((names) => names.map((name) => `test/browser/${name}.browser.ts`));
// What is marked @slow is for `npm run check:full`.
const chosen = process.argv.length > 2 ? process.argv.slice(2) : ["--grep", "@slow", "--invert"];
await runGroups(groups, [...OPTIONS, ...chosen]);
