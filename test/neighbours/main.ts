// `npm run test:neighbours [-- ARGUMENTS OF MOCHA]`: Spool beside the programs that stand beside it in production, on
// the oldest Postgres that is promised. Installs nothing; says what it needs.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { runGroups } from "../../scripts/mocha-groups.ts";

/** Where Debian puts it; `SPOOL_TEST_POSTGRES` names another. */
const OLDEST_POSTGRES = "/usr/lib/postgresql/15";
process.env["SPOOL_TEST_POSTGRES"] ||= OLDEST_POSTGRES;

/** What has to be there, and the package of Debian's that brings it. */
const NEEDS = [
  { command: "prometheus", of: "prometheus" },
  { command: "promtool", of: "prometheus" },
  { command: "pgbouncer", of: "pgbouncer" },
  { command: join(process.env["SPOOL_TEST_POSTGRES"], "bin/postgres"), of: "postgresql-15" },
];
const OPTIONS = [
  "--no-config",
  "--timeout=60000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
];

const missing = NEEDS.filter(({ command }) => spawnSync(command, ["--version"]).status !== 0);
if (missing.length > 0) {
  const packages = [...new Set(missing.map(({ of }) => of))];
  console.error(`npm run test:neighbours needs: apt-get install ${packages.join(" ")}`);
  process.exit(2);
}
await runGroups([["test/neighbours/*.neighbour.ts"]], [...OPTIONS, ...process.argv.slice(2)]);
