import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ROOT, TARGET } from "../packages/manifests.ts";

/** Where everything about images is written. */
export const OUTPUT = join(ROOT, "dist", "image");

interface Manifest {
  name: string;
  version: string;
  dependencies: Record<string, string>;
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
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  cpSync(join(ROOT, "package-lock.json"), join(folder, "package-lock.json"));
  return { folder, version: manifest.version };
}

/** Builds the packages that the image contains: first the program, then the client, which kinds of users import. */
function packPackages(): string[] {
  execFileSync(process.execPath, [join(ROOT, "scripts", "build-packages.ts")], { cwd: ROOT, stdio: "inherit" });
  const { version } = readManifest(ROOT);
  return ["spooltape", "spooltape-client"].map((name) => join(TARGET, `${name}-${version}.tgz`));
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
