import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { entryPoints, exportedSources, packageOf, ROOT } from "./manifests.ts";

/** Imports, re-exports and type imports of a declaration file. */
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g;

/**
 * Writes the declarations of a package into `types`, with those of all modules that its public types mention, and no
 * others.
 *
 * @returns the packages that the declarations import
 */
export function emitDeclarations(folder: string, target: string): Set<string> {
  const types = join(target, "types");
  const project = join(target, "tsconfig.json");
  const config = {
    extends: relative(target, join(ROOT, "tsconfig.json")),
    compilerOptions: {
      noEmit: false,
      emitDeclarationOnly: true,
      declaration: true,
      rootDir: ROOT,
      outDir: types,
      types: ["node"],
      stripInternal: true,
      // The compiler emits nothing for a file that it finds through node_modules, where npm links the packages of the
      // checkout. It resolves imports in parallel: without this, chance decides for files that are imported both ways.
      paths: exportedSources(),
    },
    include: [],
    files: Object.values(entryPoints(folder)),
  };
  writeFileSync(project, JSON.stringify(config));
  execFileSync(join(ROOT, "node_modules", ".bin", "tsc"), ["-p", project], { cwd: ROOT, stdio: "inherit" });
  rmSync(project);
  return flatten(folder, types);
}

/** Moves the entry points to the top of `types`, and removes the declarations that they do not reach. */
function flatten(folder: string, types: string): Set<string> {
  const packages = new Set<string>();
  const reached = new Set<string>();
  const waiting = Object.keys(entryPoints(folder)).map((name) => join(types, folder, `${name}.d.ts`));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const declared = readFileSync(file, "utf8");
    for (const [, specifier] of declared.matchAll(IMPORT)) {
      if (specifier!.startsWith(".")) waiting.push(join(dirname(file), specifier!.replace(/\.ts$/, ".d.ts")));
      else packages.add(packageOf(specifier!) ?? "@types/node");
    }
    // The compiler rewrites imports of .ts files in code, and leaves them in declarations.
    writeFileSync(file, declared.replaceAll(/(["'])(\.{1,2}\/[^"']+)\.ts\1/g, "$1$2.js$1"));
  }
  for (const file of globSync(join(types, "**", "*.d.ts"))) if (!reached.has(file)) rmSync(file);
  for (const name of Object.keys(entryPoints(folder))) {
    const path = `./${relative(types, join(types, folder, `${name}.js`)).replaceAll(sep, "/")}`;
    const file = join(types, `${name}.d.ts`);
    if (!existsSync(file)) writeFileSync(file, `export * from "${path}";\n`);
  }
  return packages;
}
