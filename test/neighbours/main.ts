// `npm run test:neighbours [-- ARGUMENTS OF MOCHA]`: Spool beside the programs that stand beside it in production, on
// the oldest Postgres that is promised. Installs nothing; says what it needs.

import { globSync } from "node:fs";
import { join } from "node:path";
import { runGroups } from "../../scripts/mocha-groups.ts";
import { CHROMIUM } from "../browser/support/stage.ts";
import { requirePrograms } from "../support/require-programs.ts";

/** Where Debian puts it; `SPOOL_TEST_POSTGRES` names another. */
const OLDEST_POSTGRES = "/usr/lib/postgresql/15";
process.env["SPOOL_TEST_POSTGRES"] ||= OLDEST_POSTGRES;

/** The files that run beside the others, because they take as long as those together. */
const PROXY = /(nginx|haproxy)\.neighbour\.ts$/;
const OPTIONS = [
  "--no-config",
  "--timeout=60000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
  "--require=./test/browser/support/stage.ts",
];

requirePrograms("test:neighbours", [
  { command: ["prometheus", "--version"], of: "prometheus" },
  { command: ["promtool", "--version"], of: "prometheus" },
  { command: ["pgbouncer", "--version"], of: "pgbouncer" },
  { command: ["nginx", "-v"], of: "nginx" },
  { command: ["haproxy", "-v"], of: "haproxy" },
  { command: ["systemd-notify", "--version"], of: "systemd" },
  { command: ["docker-compose", "version"], of: "docker-compose" },
  { command: ["kubectl", "version", "--client"], of: "kubernetes-client" },
  { command: [CHROMIUM, "--version"], of: "chromium" },
  { command: [join(process.env["SPOOL_TEST_POSTGRES"], "bin/postgres"), "--version"], of: "postgresql-15" },
]);
// The page as it is now, not as it was when the dependencies were installed.
await import("../../scripts/build-console.ts");
const files = globSync("test/neighbours/*.neighbour.ts", { cwd: join(import.meta.dirname, "..", "..") });
const [proxies = [], others = []] = [true, false].map((isProxy) =>
  files.filter((file) => PROXY.test(file) === isProxy),
);
await runGroups([proxies, others], [...OPTIONS, ...process.argv.slice(2)]);
