// `npm run test:prometheus [-- ARGUMENTS OF MOCHA]`: what is written for Prometheus, to Prometheus and its promtool.
// Installs nothing; says what it needs.

import { spawnSync } from "node:child_process";
import { runGroups } from "../../scripts/mocha-groups.ts";

if (["prometheus", "promtool"].some((command) => spawnSync(command, ["--version"]).status !== 0)) {
  console.error("npm run test:prometheus needs: apt-get install prometheus");
  process.exit(2);
}
const OPTIONS = [
  "--no-config",
  "--timeout=60000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
];
await runGroups([["test/prometheus/*.prometheus.ts"]], [...OPTIONS, ...process.argv.slice(2)]);
