// `npm run build:console`, which npm's `prepare` runs too: bundles the console into dist/console, where the HTTP endpoint
// finds it. All but index.html carry a hash of their content in their name, and may be kept for ever.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const SOURCE = join(ROOT, "src", "console");
const TARGET = join(ROOT, "dist", "console");

rmSync(TARGET, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: [join(SOURCE, "main.tsx"), join(SOURCE, "styles", "console.css"), join(SOURCE, "icon.svg")],
  outdir: join(TARGET, "assets"),
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  // What has Promise.withResolvers and light-dark(): browsers of 2024.
  target: "es2023",
  tsconfig: join(SOURCE, "tsconfig.json"),
  loader: { ".svg": "copy" },
  metafile: true,
});

const built = new Map(
  Object.entries(metafile.outputs).map(([path, { entryPoint = path }]) => [basename(entryPoint), basename(path)]),
);
const page = readFileSync(join(SOURCE, "page.html"), "utf8").replaceAll(/%([a-z.]+)%/g, (_, name: string) => {
  const file = built.get(name);
  if (file === undefined) throw new Error(`page.html wants ${name}, which was not built`);
  return `assets/${file}`;
});
mkdirSync(TARGET, { recursive: true });
writeFileSync(join(TARGET, "index.html"), page);
