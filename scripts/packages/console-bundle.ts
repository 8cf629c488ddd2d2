import { join } from "node:path";
import type { BuildOptions } from "esbuild";
import { ROOT } from "./manifests.ts";

export const CONSOLE_SOURCE = join(ROOT, "src", "console");
export const CONSOLE_TARGET = join(ROOT, "dist", "console");

/** How the console is bundled. */
export const CONSOLE = {
  absWorkingDir: ROOT,
  entryPoints: ["main.tsx", join("styles", "console.css"), "icon.svg"].map((file) => join(CONSOLE_SOURCE, file)),
  outdir: join(CONSOLE_TARGET, "assets"),
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  // What has Promise.withResolvers and light-dark(): browsers of 2024.
  target: "es2023",
  tsconfig: join(CONSOLE_SOURCE, "tsconfig.json"),
  loader: { ".svg": "copy" },
  metafile: true,
} satisfies BuildOptions;
