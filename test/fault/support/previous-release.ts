import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** The release before this checkout. Change it when a release is made. */
export const PREVIOUS_RELEASE = {
  version: "0.2.0",
  commit: "c5d3f8b33fd27755fa0ad078eb267a6634c25078",
} as const;

const ROOT = join(import.meta.dirname, "..", "..", "..");

type ClientModule = typeof import("../../../src/client/client.ts");

/** The program of the previous release. */
export interface PreviousRelease {
  /** The folder of its checkout. */
  root: string;
  /** Its client. The types are those of this version, so use only what both versions have. */
  connect: ClientModule["connect"];
}

/** Returns whether the git history has the commit of the previous release. A shallow clone lacks it. */
export async function hasPreviousRelease(): Promise<boolean> {
  const type = promisify(execFile)("git", ["cat-file", "-e", `${PREVIOUS_RELEASE.commit}^{commit}`], { cwd: ROOT });
  return type.then(
    () => true,
    () => false,
  );
}

/** Writes the files of the previous release into a folder, with the dependencies of this checkout, and loads its client. */
export async function checkOutPreviousRelease(folder: string): Promise<PreviousRelease> {
  const root = join(folder, `spool-${PREVIOUS_RELEASE.version}`);
  await mkdir(root);
  const archive = spawn("git", ["archive", PREVIOUS_RELEASE.commit], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const unpacked = spawn("tar", ["-x", "-C", root], { stdio: ["pipe", "inherit", "inherit"] });
  archive.stdout.pipe(unpacked.stdin);
  const codes = await Promise.all([once(archive, "exit"), once(unpacked, "exit")]);
  if (codes.some(([code]) => code !== 0)) throw new Error(`git archive of ${PREVIOUS_RELEASE.commit} failed`);
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  const { connect } = (await import(join(root, "src", "client", "client.ts"))) as ClientModule;
  return { root, connect };
}
