// `npm run fault -- NAME`: runs the fault scenario test/fault/NAME.ts; what follows NAME is the scenario's.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";

const folder = join(import.meta.dirname, "..", "test", "fault");
const names = globSync("*.ts", { cwd: folder, exclude: ["*.test.ts"] }).map((file) => basename(file, ".ts"));

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run fault -- NAME, where NAME is one of: ${names.toSorted().join(", ") || "(none yet)"}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, [join(folder, `${name}.ts`), ...args], { stdio: "inherit" });
process.exitCode = status ?? 1;
