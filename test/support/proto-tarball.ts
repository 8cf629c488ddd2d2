import { execFileSync } from "node:child_process";
import { basename, join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/** Writes the tarball of the protos into a folder. @returns its path */
export function buildProtoTarball(folder: string): string {
  const script = join(ROOT, "scripts", "build-protos.ts");
  return execFileSync(process.execPath, [script, "--output", folder], { encoding: "utf8" }).trim();
}

/** Unpacks the tarball of the protos into a folder. @returns the folder with its files */
export function unpackProtoTarball(tarball: string, folder: string): string {
  execFileSync("tar", ["-xzf", tarball, "-C", folder]);
  return join(folder, basename(tarball, ".tar.gz"));
}
