// `npm run build:image [-- --with docker|podman|buildah] [-- --debian]`: builds the image of a server, spool:VERSION.
//
// With --context, it only writes the context of the image into dist/image/context, for another program that builds.
//
// With --debian, buildah builds it on root file systems made of Debian's packages and npm's Node, so that no registry of
// images is needed. That takes root, mmdebstrap, and the npm cache that `npm ci` has filled.

import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildah, importFolder } from "./image/buildah.ts";
import { writeContext } from "./image/context.ts";
import { debianBases } from "./image/debian-base.ts";
import { ROOT } from "./packages/manifests.ts";

const DOCKERFILE = join(ROOT, "deploy", "image", "Dockerfile");
const DEBIAN = { base: "localhost/spool-debian-base", node: "localhost/spool-debian-node" };

const { values } = parseArgs({
  options: {
    with: { type: "string", default: "docker" },
    debian: { type: "boolean", default: false },
    context: { type: "boolean", default: false },
  },
});
const { folder, version } = writeContext();
const tag = `spool:${version}`;
const args = ["--file", DOCKERFILE, "--tag", tag, ...buildArgs({ VERSION: version, ...commit() })];
if (values.context) {
  // The context is written already.
} else if (values.debian) buildOnDebian();
else if (values.with === "buildah") buildah("build", "--format", "docker", ...args, folder);
else execFileSync(values.with, ["build", ...args, folder], { stdio: "inherit" });
console.log(values.context ? folder : tag);

function buildOnDebian(): void {
  const bases = debianBases();
  importFolder(bases.base, DEBIAN.base);
  importFolder(bases.node, DEBIAN.node);
  const cache = execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim();
  const options = buildArgs({
    BASE_IMAGE: DEBIAN.base,
    NODE_IMAGE: DEBIAN.node,
    NPM_OPTIONS: "--offline --cache=/npm-cache",
  });
  // A health check is part of Docker's format of images, not of OCI's.
  const how = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--volume", `${cache}:/npm-cache`];
  buildah("build", ...how, ...args, ...options, folder);
  buildah("rmi", DEBIAN.node);
  buildah("rmi", "--prune"); // What earlier builds have left.
}

function buildArgs(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
}

/** Returns the commit that is built and its time, so that the same commit gives the same labels. */
function commit(): { REVISION: string; CREATED: string } {
  const { stdout } = spawnSync("git", ["log", "-1", "--format=%H %cI"], { cwd: ROOT, encoding: "utf8" });
  const [revision = "", created = ""] = (stdout ?? "").trim().split(" ");
  return { REVISION: revision, CREATED: created };
}
