import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../packages/manifests.ts";

const RELEASE = "bookworm";
/** What Node is linked with. */
const LIBRARIES = ["base-files", "libc6", "libgcc-s1", "libstdc++6"];
/** What npm runs in besides. */
const SHELL = ["coreutils", "dash"];
const CACHE = join(ROOT, "node_modules", ".cache", "spool-image");

/**
 * Makes root file systems for both images that the Dockerfile starts from, out of Debian's packages and of npm's Node.
 * So the image can be built where no registry of images can be reached. They are kept for the next build.
 *
 * @returns the folders
 */
export function debianBases(): { base: string; node: string } {
  const base = join(CACHE, `base-${RELEASE}`);
  const node = join(CACHE, `node-${nodeVersion()}-${RELEASE}`);
  if (!existsSync(base)) make(base, LIBRARIES);
  if (!existsSync(node)) make(node, [...LIBRARIES, ...SHELL], addNode);
  return { base, node };
}

function make(folder: string, packages: readonly string[], complete: (folder: string) => void = () => {}): void {
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  // Extracted only, without the scripts of the packages: there is no dpkg in it that would run them.
  const args = ["--variant=extract", "--mode=root", `--include=${packages.join(",")}`, RELEASE, unfinished];
  execFileSync("mmdebstrap", args, { stdio: ["ignore", "ignore", "pipe"] });
  for (const removed of ["usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache"]) {
    rmSync(join(unfinished, removed), { recursive: true, force: true });
  }
  complete(unfinished);
  renameSync(unfinished, folder);
}

function addNode(folder: string): void {
  const local = join(folder, "usr", "local");
  const node = join(local, "bin", "node");
  cpSync(join(ROOT, "node_modules", "node", "bin", "node"), node);
  chmodSync(node, 0o755);
  cpSync(npmFolder(), join(local, "lib", "node_modules", "npm"), { recursive: true, dereference: true });
  execFileSync("ln", ["-s", "../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin", "npm")]);
  // The first line of npm-cli.js asks for it.
  if (!existsSync(join(folder, "usr", "bin", "env"))) throw new Error("coreutils brought no env");
}

/** Returns the folder of the npm that runs this script. */
function npmFolder(): string {
  const cli = process.env["npm_execpath"];
  if (cli === undefined) throw new Error("run this script by npm: npm run build:image");
  return dirname(dirname(cli));
}

function nodeVersion(): string {
  const manifest = readFileSync(join(ROOT, "node_modules", "node", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
