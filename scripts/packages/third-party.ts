import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";
import { ROOT } from "./manifests.ts";

/** Writes the licences of the packages in some bundles into THIRD-PARTY.txt. */
export function writeThirdParty(bundles: readonly Metafile[], target: string): void {
  const modules = [...new Set(bundles.flatMap(({ inputs }) => Object.keys(inputs)))];
  const byFolder = Map.groupBy(modules, (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const parts = [...byFolder].flatMap(([folder, files]) => {
    if (folder === undefined) return []; // Modules of the checkout.
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8")) as Record<
      "name" | "version" | "license",
      string
    >;
    const [file] = globSync("LICEN[CS]E*", { cwd: join(ROOT, folder) });
    const text = file === undefined ? headersOf(files) : readFileSync(join(ROOT, folder, file), "utf8").trim();
    if (!/copyright/i.test(text)) throw new Error(`${name} has no licence file, and no licence in its modules`);
    return [`${name} ${version}, ${license}\n\n${text}\n`];
  });
  writeFileSync(join(target, "THIRD-PARTY.txt"), parts.toSorted().join(`\n${"-".repeat(80)}\n\n`));
}

/** Returns the distinct comments at the top of modules: packages without a licence file have their licences there. */
function headersOf(files: readonly string[]): string {
  const headers = files.flatMap((file) => {
    const [header] = /^(?:\/\/.*\n)+/.exec(readFileSync(join(ROOT, file), "utf8")) ?? [];
    return header !== undefined && /copyright/i.test(header) ? [header.replaceAll(/^\/\/ ?/gm, "").trim()] : [];
  });
  return [...new Set(headers)].join("\n\n");
}
