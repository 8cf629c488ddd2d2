// `npm run test:packages [-- ARGUMENTS OF MOCHA]`: builds the npm packages, installs the tarballs into fresh folders as
// users do, and uses them. Takes packages from npm, as every installation does.

import { CHROMIUM } from "../browser/support/stage.ts";
import { requirePrograms } from "../support/require-programs.ts";
import { runGroups } from "../../scripts/mocha-groups.ts";

const OPTIONS = [
  "--no-config",
  "--timeout=120000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/packages/support/hooks.ts",
];

requirePrograms("test:packages", [{ command: [CHROMIUM, "--version"], of: "chromium" }]);
await import("../../scripts/build-packages.ts");
await runGroups([["test/packages/*.package.ts"]], [...OPTIONS, ...process.argv.slice(2)]);
