import { readFileSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
/** Where the packages are built: a folder and a tarball for each. */
export const TARGET = join(ROOT, "dist", "packages");

/** The packages, and the folders with their manifests and entry points. */
export const PACKAGES = {
  client: "packages/client",
  knowledge: "examples/knowledge",
  spooltape: "packages/spooltape",
} as const;
export type PackageName = keyof typeof PACKAGES;

/** A package.json. */
export interface Manifest {
  name: string;
  version: string;
  exports: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional: boolean }>;
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8")) as Manifest;
}

/** Returns the entry points of a package: their names in `dist`, and their sources. */
export function entryPoints(folder: string): Record<string, string> {
  const sources = Object.values(readManifest(folder).exports).filter((path) => path.endsWith(".ts"));
  return Object.fromEntries(sources.map((path) => [path.slice(2, -3), join(ROOT, folder, path)]));
}

/** Returns the sources of what the packages export, under the names that imports have for it. */
export function exportedSources(): Record<string, readonly string[]> {
  const exported = Object.values(PACKAGES).flatMap((folder) => {
    const { name, exports } = readManifest(folder);
    const sources = Object.entries(exports).filter(([, path]) => path.endsWith(".ts"));
    return sources.map(([subpath, path]) => [name + subpath.slice(1), [join(ROOT, folder, path)]] as const);
  });
  return Object.fromEntries(exported);
}

/** Returns the package that an import names; null for a module of Node. */
export function packageOf(specifier: string): string | null {
  if (isBuiltin(specifier)) return null;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * Writes the manifest of a built package. Its dependencies are the packages that its code and its types import, in the
 * versions of the checkout. So the list cannot be out of date.
 *
 * @param imported the packages that the built files import
 * @param hasCommand whether the package has the `spool` command
 */
export function writeManifest(
  manifest: Manifest,
  { target, imported, hasCommand }: { target: string; imported: ReadonlySet<string>; hasCommand: boolean },
): void {
  const { dependencies: served = {}, devDependencies = {} } = readManifest(".");
  const versions = { ...devDependencies, ...served };
  const siblings = new Map(Object.values(PACKAGES).map((folder) => [readManifest(folder).name, folder]));
  const optional = Object.keys(manifest.peerDependencies ?? {});
  const dependencies: Record<string, string> = {};
  for (const name of [...imported].toSorted()) {
    if (name === manifest.name || optional.includes(name)) continue;
    const version = siblings.has(name) ? manifest.version : versions[name];
    if (version === undefined)
      throw new Error(`${manifest.name} imports ${name}, which is no dependency of the checkout`);
    dependencies[name] = version;
  }
  const exports = Object.entries(manifest.exports).map(([name, path]) => {
    if (!path.endsWith(".ts")) return [name, path];
    const base = path.slice(2, -3);
    return [name, { types: `./types/${base}.d.ts`, default: `./dist/${base}.js` }];
  });
  const built = {
    ...manifest,
    exports: Object.fromEntries(exports) as unknown,
    ...(hasCommand && { bin: { spool: "bin/spool.js", spooltape: "bin/spool.js" }, man: "./man/spool.1" }),
    files: ["bin", "dist", "man", "templates", "types", "CHANGELOG.md", "THIRD-PARTY.txt"],
    dependencies,
  };
  writeFileSync(join(target, "package.json"), `${JSON.stringify(built, null, 2)}\n`);
}
