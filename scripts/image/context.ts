import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
/** Where everything about images is written. */
export const OUTPUT = join(ROOT, "dist", "image");

interface Manifest {
  name: string;
  version: string;
  dependencies: Record<string, string>;
  scripts?: object;
  devDependencies?: object;
}

/**
 * Writes the context of the image: the files of the program, a package.json with only the dependencies of production,
 * and the lock file, so that the image has the versions that the tests have.
 */
export function writeContext(): { folder: string; version: string } {
  const folder = join(OUTPUT, "context");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "packages"), { recursive: true });
  const [program, ...packages] = packPackages();
  untar(program!, folder);
  const manifest = readManifest(folder);
  for (const file of packages) {
    const copy = join(folder, "packages", basename(file));
    cpSync(file, copy);
    manifest.dependencies[packageName(copy)] = `file:packages/${basename(file)}`;
  }
  // It bundles the console and the command line, and the package has the bundles.
  delete manifest.dependencies["esbuild"];
  delete manifest.scripts;
  delete manifest.devDependencies;
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  cpSync(join(ROOT, "package-lock.json"), join(folder, "package-lock.json"));
  return { folder, version: manifest.version };
}

/** Returns the packages that the image contains: first the program, with bin/spool.js, then those that it depends on. */
function packPackages(): string[] {
  const args = ["pack", "--silent", "--pack-destination", OUTPUT];
  const printed = execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" });
  return [join(OUTPUT, printed.trim().split("\n").at(-1)!)];
}

function packageName(file: string): string {
  const text = execFileSync("tar", ["-xOf", file, "package/package.json"], { encoding: "utf8" });
  return (JSON.parse(text) as Manifest).name;
}

function untar(file: string, folder: string): void {
  execFileSync("tar", ["-xf", file, "-C", folder, "--strip-components=1"]);
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}
