// `npm run test:neighbours [-- ARGUMENTS OF MOCHA]`: Spool beside the programs that stand beside it in production, on
// the oldest Postgres that is promised. Installs nothing; says what it needs.

import { join } from "node:path";
import { runGroups } from "../../scripts/mocha-groups.ts";
import { requirePrograms } from "../support/require-programs.ts";

/** Where Debian puts it; `SPOOL_TEST_POSTGRES` names another. */
const OLDEST_POSTGRES = "/usr/lib/postgresql/15";
process.env["SPOOL_TEST_POSTGRES"] ||= OLDEST_POSTGRES;

const OPTIONS = [
  "--no-config",
  "--timeout=60000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
];

requirePrograms("test:neighbours", [
  { command: ["prometheus", "--version"], of: "prometheus" },
  { command: ["promtool", "--version"], of: "prometheus" },
  { command: ["pgbouncer", "--version"], of: "pgbouncer" },
  { command: [join(process.env["SPOOL_TEST_POSTGRES"], "bin/postgres"), "--version"], of: "postgresql-15" },
]);
await runGroups([["test/neighbours/*.neighbour.ts"]], [...OPTIONS, ...process.argv.slice(2)]);
