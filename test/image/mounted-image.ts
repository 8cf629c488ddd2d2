import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { buildah } from "../../scripts/image/buildah.ts";

/** What a platform reads of an image before it runs it. */
export interface ImageConfig {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[];
  StopSignal: string;
  Labels: Record<string, string>;
  Healthcheck: { Test: string[]; Timeout: number };
}

/** The root file system of an image, which cannot be written to. Disposing unmounts it. */
export interface MountedImage extends Disposable {
  readonly root: string;
  readonly config: ImageConfig;
  /** Of the files, in bytes. */
  readonly size: number;
}

export function mountImage(image: string): MountedImage {
  const container = buildah("from", "--pull-never", image).trim();
  const mounted = buildah("mount", container).trim();
  const root = mkdtempSync(join(tmpdir(), "spool-image-"));
  execFileSync("mount", ["--bind", mounted, root]);
  execFileSync("mount", ["-o", "remount,bind,ro", root]);
  const { Docker } = JSON.parse(buildah("inspect", "--type", "image", image)) as { Docker: { config: ImageConfig } };
  const [size] = execFileSync("du", ["--summarize", "--bytes", root], { encoding: "utf8" }).split("\t");
  return {
    root,
    config: Docker.config,
    size: Number(size),
    [Symbol.dispose]() {
      execFileSync("umount", [root]);
      rmdirSync(root);
      buildah("umount", container);
      buildah("rm", container);
    },
  };
}

/** Builds an image by a Dockerfile. */
export function buildOnTop({ dockerfile, folder, tag }: { dockerfile: string; folder: string; tag: string }): void {
  const context = mkdtempSync(join(tmpdir(), "spool-image-context-"));
  try {
    writeFileSync(join(context, "Dockerfile"), dockerfile);
    const args = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--tag", tag];
    buildah("build", ...args, "--file", join(context, "Dockerfile"), folder);
  } finally {
    rmSync(context, { recursive: true });
  }
}

/** Returns the version of this checkout. */
export function checkoutVersion(): string {
  const manifest = readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
