import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { OUTPUT } from "./context.ts";

const STORAGE = join(OUTPUT, "storage");
const STORE = ["--root", STORAGE, "--runroot", `${STORAGE}.run`, "--storage-driver", "vfs"];

/** What a run of buildah prints, in a store of this checkout's own. It needs root, and no engine. */
export function buildah(...args: readonly string[]): string {
  mkdirSync(STORAGE, { recursive: true });
  return execFileSync("buildah", [...STORE, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** Makes an image of a root file system. */
export function importFolder(folder: string, tag: string): void {
  const container = buildah("from", "scratch").trim();
  buildah("copy", "--quiet", container, folder, "/");
  buildah("commit", "--quiet", "--rm", container, tag);
}
