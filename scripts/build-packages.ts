// `npm run build`: compiles the npm packages into dist/packages, a folder and a tarball for each, unless they were
// compiled from the present sources.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bundleClient, bundleKnowledge, bundleServer } from "./packages/bundles.ts";
import { emitDeclarations } from "./packages/declarations.ts";
import { isBuilt, recordBuild } from "./packages/build-record.ts";
import { PACKAGES, readManifest, ROOT, TARGET, writeManifest } from "./packages/manifests.ts";
import type { PackageName } from "./packages/manifests.ts";

const BUNDLE: Readonly<Record<PackageName, (target: string) => Promise<Set<string>>>> = {
  client: bundleClient,
  knowledge: bundleKnowledge,
  spooltape: bundleServer,
};

if (!isBuilt()) {
  rmSync(TARGET, { recursive: true, force: true });
  await buildAll();
  recordBuild();
}

async function buildAll(): Promise<void> {
  for (const [name, folder] of Object.entries(PACKAGES) as [PackageName, string][]) {
    const target = join(TARGET, name);
    mkdirSync(target, { recursive: true });
    const imported = await BUNDLE[name](join(target, "dist"));
    const typed = emitDeclarations(folder, target);
    writeManifest(readManifest(folder), { target, imported: imported.union(typed), hasCommand: name === "spooltape" });
    cpSync(join(ROOT, "LICENSE"), join(target, "LICENSE"));
    cpSync(join(ROOT, folder, "README.md"), join(target, "README.md"));
    execFileSync("npm", ["pack", "--silent", "--pack-destination", TARGET], {
      cwd: target,
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
}
