// `npm run test:image`: builds the image on Debian's packages, without a registry of images, and runs it as a platform
// would, in namespaces instead of an engine. Takes root. Installs nothing; says what it needs.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { runGroups } from "../../scripts/mocha-groups.ts";
import { requirePrograms } from "../support/require-programs.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const OPTIONS = [
  "--no-config",
  "--timeout=60000",
  "--reporter=./test/support/reporter.ts",
  "--require=./test/support/hooks.ts",
];

requirePrograms("test:image", [
  { command: ["buildah", "--version"], of: "buildah" },
  { command: ["mmdebstrap", "--version"], of: "mmdebstrap" },
  { command: ["unshare", "--version"], of: "util-linux" },
]);
const { status } = spawnSync("npm", ["run", "--silent", "build:image", "--", "--debian"], {
  cwd: ROOT,
  stdio: "inherit",
});
if (status !== 0) process.exit(1);
await runGroups([["test/image/*.image.ts"]], [...OPTIONS, ...process.argv.slice(2)]);
