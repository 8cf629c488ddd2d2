// `npm run build:cli [-- FOLDER]`, which npm's `prepare` runs too: bundles the commands that talk to a server into dist/cli. The
// others (serve, migrate, doctor) and what they rest on stay where they are: a user's kinds import the same modules.

import { rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { build } from "esbuild";
import type { Plugin } from "esbuild";
import { BUILT_FROM, digestSources } from "../bin/bundle.js";

const ROOT = join(import.meta.dirname, "..");
const TARGET = resolve(process.argv[2] ?? join(ROOT, "dist", "cli"));
const UNBUNDLED = ["server", "doctor"].map((folder) => join(ROOT, "src", folder) + sep);

/** Leaves the server and the doctor out of the bundle: they are imported from their sources, relative to the bundle. */
const serverFromSources: Plugin = {
  name: "server-from-sources",
  setup({ onResolve }) {
    onResolve({ filter: /\/(server|doctor)\// }, ({ path, resolveDir }) => {
      const file = join(resolveDir, path);
      if (!UNBUNDLED.some((folder) => file.startsWith(folder))) return undefined;
      return { path: relative(TARGET, file).replaceAll(sep, "/"), external: true };
    });
  },
};

rmSync(TARGET, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: { spool: join(ROOT, "src", "cli", "main.ts") },
  outdir: TARGET,
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node24",
  // Stacks keep the names of functions; what a reader of the bundle needs besides is in src.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "linked",
  // Packages of CommonJS ask for Node's modules by require.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  plugins: [serverFromSources],
  metafile: true,
});
// Not packages, also where node_modules is a link to elsewhere.
const sources = Object.keys(metafile.inputs).filter((path) => !/(^|\/)node_modules\//.test(path));
writeFileSync(join(TARGET, BUILT_FROM), JSON.stringify({ sources, digest: digestSources(ROOT, sources) }));
