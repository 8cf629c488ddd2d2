import { cpSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { build } from "esbuild";
import type { BuildOptions, Metafile, Plugin } from "esbuild";
import { CONSOLE } from "./console-bundle.ts";
import { entryPoints, packageOf, PACKAGES, ROOT } from "./manifests.ts";
import { writeThirdParty } from "./third-party.ts";

/** Packages of CommonJS in a bundle ask for Node's modules by require. */
const WITH_REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/**
 * Packages that are bundled into the client, so that a caller installs few packages: grpc-js asks for 33 others, for a
 * loader of proto files that Spool never calls. They are listed in THIRD-PARTY.txt.
 */
const BUNDLED_IN_CLIENT = [
  "@grpc/grpc-js",
  "@js-sdsl/ordered-map",
  "@sinonjs/fake-timers",
  "@sinonjs/commons",
  "type-detect",
  "uuid",
];
/** Loaded only by parts of grpc-js that nothing here calls. */
const NEVER_LOADED = ["@grpc/proto-loader"];

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  sourcemap: true,
  // Stacks keep the names of functions.
  minifySyntax: true,
  legalComments: "none",
  metafile: true,
} satisfies BuildOptions;

/** @returns the packages that the bundle imports */
export async function bundleClient(outdir: string): Promise<Set<string>> {
  const { web, ...forNode } = entryPoints(PACKAGES.client);
  const options = { ...COMMON, outdir, plugins: [leaveOutPackages(BUNDLED_IN_CLIENT)] };
  const node = await build({
    ...options,
    entryPoints: forNode,
    splitting: true,
    platform: "node",
    target: "node22",
    banner: { js: WITH_REQUIRE },
  });
  const browser = await build({ ...options, entryPoints: { web: web! }, platform: "neutral", target: "es2023" });
  writeThirdParty([node.metafile, browser.metafile], dirname(outdir));
  rootSources(outdir);
  const imported = importedBy(node.metafile).union(importedBy(browser.metafile));
  return imported.difference(new Set(NEVER_LOADED));
}

/** @returns the packages that the bundle imports */
export async function bundleKnowledge(outdir: string): Promise<Set<string>> {
  const { metafile } = await build({
    ...COMMON,
    outdir,
    plugins: [leaveOutPackages([])],
    platform: "node",
    target: "node22",
    entryPoints: entryPoints(PACKAGES.knowledge),
  });
  rootSources(outdir);
  return importedBy(metafile);
}

/**
 * Bundles the server and the command line, in parts that are loaded when they are needed, and copies what they serve.
 *
 * @returns the packages that the bundle imports
 */
export async function bundleServer(outdir: string): Promise<Set<string>> {
  const { metafile } = await build({
    ...COMMON,
    outdir,
    plugins: [leaveOutPackages([])],
    platform: "node",
    target: "node24",
    entryPoints: { spool: join(ROOT, "src", "cli", "main.ts"), ...entryPoints(PACKAGES.spooltape) },
    splitting: true,
  });
  rootSources(outdir);
  const target = dirname(outdir);
  for (const folder of ["console", "embedded"]) {
    cpSync(join(ROOT, "dist", folder), join(outdir, folder), { recursive: true });
  }
  for (const folder of ["bin", "man", "templates"])
    cpSync(join(ROOT, folder), join(target, folder), { recursive: true });
  cpSync(join(ROOT, "CHANGELOG.md"), join(target, "CHANGELOG.md"));
  const page = await build({ ...CONSOLE, write: false });
  writeThirdParty([page.metafile], target);
  return importedBy(metafile);
}

/** Leaves all packages but some out of a bundle. */
function leaveOutPackages(bundled: readonly string[]): Plugin {
  return {
    name: "leave-out-packages",
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === "entry-point") return undefined;
        const name = packageOf(path);
        return name !== null && bundled.includes(name) ? undefined : { path, external: true };
      });
    },
  };
}

function importedBy({ outputs }: Metafile): Set<string> {
  const imports = Object.values(outputs).flatMap((output) => output.imports.filter(({ external }) => external));
  return new Set(imports.map(({ path }) => packageOf(path)).filter((name) => name !== null));
}

/**
 * Rewrites the paths of source maps to what they would be if the package held its sources. esbuild writes paths into the
 * checkout, which in the folder of a user lead to files of the user.
 */
function rootSources(outdir: string): void {
  for (const file of globSync("*.map", { cwd: outdir })) {
    const map = JSON.parse(readFileSync(join(outdir, file), "utf8")) as { sources: string[] };
    map.sources = map.sources.map((source) => `../${relative(ROOT, join(outdir, source)).replaceAll(sep, "/")}`);
    writeFileSync(join(outdir, file), JSON.stringify(map));
  }
}
