// `npm test [-- ARGUMENTS OF MOCHA]`: the tests, in groups side by side, without those that are marked @slow; or, where
// files or names of tests are given, those, as mocha runs them.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { runGroups } from "./mocha-groups.ts";

const ROOT = join(import.meta.dirname, "..");
/** In the title of what takes long and breaks rarely: `npm run check:full` runs it. */
const SLOW = "@slow";
const GROUPS = 3;

const options = process.argv.slice(2);
const isOfSome = options.some((word) => !word.startsWith("--") || word.startsWith("--grep"));
if (isOfSome) {
  const { status } = spawnSync("mocha", options, { cwd: ROOT, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT }).sort();
  // In turn, so that the folders whose tests take long are shared out.
  const groups = Array.from({ length: GROUPS }, (_, group) => files.filter((_, index) => index % GROUPS === group));
  await runGroups(groups, ["--grep", SLOW, "--invert", ...options]);
}
