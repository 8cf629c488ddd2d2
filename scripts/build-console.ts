// `npm run build:console`, which npm's `prepare` runs too: bundles the console into dist/console, where the HTTP endpoint
// finds it. All but index.html carry a hash of their content in their name, and may be kept for ever.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { CONSOLE, CONSOLE_SOURCE, CONSOLE_TARGET } from "./packages/console-bundle.ts";

rmSync(CONSOLE_TARGET, { recursive: true, force: true });
const { metafile } = await build(CONSOLE);

const built = new Map(
  Object.entries(metafile.outputs).map(([path, { entryPoint = path }]) => [basename(entryPoint), basename(path)]),
);
const page = readFileSync(join(CONSOLE_SOURCE, "page.html"), "utf8").replaceAll(/%([a-z.]+)%/g, (_, name: string) => {
  const file = built.get(name);
  if (file === undefined) throw new Error(`page.html wants ${name}, which was not built`);
  return `assets/${file}`;
});
mkdirSync(CONSOLE_TARGET, { recursive: true });
writeFileSync(join(CONSOLE_TARGET, "index.html"), page);
