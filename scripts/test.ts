// `npm test [-- ARGUMENTS OF MOCHA]`: the tests, in groups side by side, without those that are marked @slow; or, where
// files or names of tests are given, those, as mocha runs them.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { runGroups } from "./mocha-groups.ts";

const ROOT = join(import.meta.dirname, "..");
/** In the title of what takes long and breaks rarely: `npm run check:full` runs it. */
const SLOW = "@slow";
/** More than there are cores: most tests wait most of their time. */
const GROUPS = 5;
/** About how many seconds a file of tests takes, where that is much more than the others. */
const SECONDS: Readonly<Record<string, number>> = {
  "test/contract/contract.test.ts": 220,
  "test/readme.test.ts": 140,
  "test/server/serve.test.ts": 90,
  "test/cli/serve.test.ts": 80,
  "test/cli/shard.test.ts": 68,
  "test/cli/doctor.test.ts": 55,
  "test/cli/completion/completion.test.ts": 60,
  "test/server/serve-metrics.test.ts": 40,
  "test/server/placement/move-namespace.test.ts": 38,
  "test/doctor/doctor.test.ts": 32,
  "test/client/worker/worker.test.ts": 33,
  "test/cli/commands/export.test.ts": 32,
  "test/server/export/exporting-sweeper.test.ts": 31,
  "test/server/kind-packages.test.ts": 30,
  "test/cli/follow.test.ts": 30,
  "test/engine/engine-trouble.test.ts": 25,
  "test/server/reload.test.ts": 25,
  "test/cli/usage.test.ts": 25,
  "test/engine/engine-ownership.test.ts": 22,
  "test/store/connection/connections.test.ts": 20,
  "test/engine/programs/programs.test.ts": 20,
  "test/server/import/import-archives.test.ts": 20,
  "test/server/moved-database.test.ts": 20,
  "test/engine/maintenance/removal-hooks.test.ts": 18,
  "test/engine/write/journal-outage.test.ts": 16,
  "test/engine/interleavings/interleavings.test.ts": 16,
  "test/cli/init/init.test.ts": 16,
  "test/cli/health.test.ts": 15,
  "test/engine/engine-outage.test.ts": 15,
  "test/examples/knowledge/ingest-files.test.ts": 15,
  "test/server/log/log-destination.test.ts": 14,
};
const SECONDS_DEFAULT = 1.5;

const options = process.argv.slice(2);
const isOfSome = options.some((word) => !word.startsWith("--") || word.startsWith("--grep"));
if (isOfSome) {
  const { status } = spawnSync("mocha", options, { cwd: ROOT, stdio: "inherit" });
  process.exitCode = status ?? 1;
} else {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT }).sort();
  await runGroups(shareOut(files), ["--grep", SLOW, "--invert", ...options]);
}

/** Shares files out to groups that take about the same time: the longest first, each to the group with the least. */
function shareOut(files: readonly string[]): string[][] {
  const secondsOf = (file: string) => SECONDS[file] ?? SECONDS_DEFAULT;
  const groups = Array.from({ length: GROUPS }, () => ({ files: [] as string[], seconds: 0 }));
  for (const file of files.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const least = groups.reduce((best, group) => (group.seconds < best.seconds ? group : best));
    least.files.push(file);
    least.seconds += secondsOf(file);
  }
  return groups.map((group) => group.files);
}
