import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const SRC = join(ROOT, "src");

const LINES_MAX = 300;
const FILES_WITHOUT_README_MAX = 8;
const README_LINES_MAX = 10;

/**
 * The layers of the code, from the bottom up: the folders that the files of each folder may import from, besides their
 * own.
 */
const FLOORS: Record<string, readonly string[]> = {
  gen: [],
  domain: [],
  codec: ["gen", "domain"],
  archive: ["gen", "domain", "codec"],
  async: ["domain"],
  telemetry: ["domain"],
  store: ["domain", "async"],
  engine: ["domain", "async", "telemetry", "store"],
  kinds: ["domain"],
  rpc: ["gen", "domain", "codec", "async", "telemetry", "engine"],
  client: ["gen", "domain", "codec", "async", "telemetry"],
  console: ["gen", "domain", "codec", "async", "client"],
  testing: ["domain", "codec", "client", "kinds"],
  doctor: ["gen", "domain", "codec", "async", "store", "engine", "rpc", "client"],
  server: ["gen", "domain", "codec", "archive", "async", "telemetry", "store", "engine", "kinds", "rpc", "doctor"],
  cli: ["domain", "archive", "async", "client", "doctor", "server"],
};

/** Static, dynamic and type imports, and re-exports, of a file by its path. */
const IMPORT = /\b(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

describe("the layers of src", () => {
  const files = globSync("**/*.{ts,tsx}", { cwd: SRC });
  const imports = new Map(files.map((file) => [file, importsOf(file)]));

  it("have files with imports that this test finds", () => {
    assert.ok([...imports.values()].flat().length > 0);
  });

  it("are all listed in this test", () => {
    assert.deepEqual(
      files.filter((file) => !(floorOf(file) in FLOORS)),
      [],
    );
  });

  it("import only from layers below", () => {
    const climbs = edges(imports).filter(([from, to]) => !mayImport(from, to));
    assert.deepEqual(climbs, []);
  });

  it("have no allowed import that no file uses", () => {
    const used = new Set(edges(imports).map(([from, to]) => `${floorOf(from)} -> ${floorOf(to)}`));
    const allowed = Object.entries(FLOORS).flatMap(([from, floors]) => floors.map((to) => `${from} -> ${to}`));
    assert.deepEqual(
      allowed.filter((edge) => !used.has(edge)),
      [],
    );
  });

  it("import existing files by their full names", () => {
    const missing = edges(imports).filter(([, to]) => !existsSync(join(SRC, to)));
    assert.deepEqual(missing, []);
  });

  it("have no import cycle", () => {
    assert.deepEqual(findCycle(imports), []);
  });
});

describe("a folder of src", () => {
  const files = globSync("**/*", { cwd: SRC, exclude: ["gen/**"], withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const folders = Map.groupBy(files, ({ parentPath }) => relative(SRC, parentPath));

  it(`has a README of at most ${README_LINES_MAX} lines if it has more than ${FILES_WITHOUT_README_MAX} files`, () => {
    const unexplained = [...folders].filter(([folder, entries]) => {
      if (entries.length <= FILES_WITHOUT_README_MAX) return false;
      const readme = join(SRC, folder, "README.md");
      return !existsSync(readme) || readFileSync(readme, "utf8").trimEnd().split("\n").length > README_LINES_MAX;
    });
    assert.deepEqual(
      unexplained.map(([folder]) => folder),
      [],
    );
  });
});

describe("a file", () => {
  const files = globSync("{src,test,bench,examples,scripts}/**/*.{ts,tsx,css}", { cwd: ROOT, exclude: ["src/gen/**"] });

  it(`has at most ${LINES_MAX} lines`, () => {
    const long = files.filter(
      (file) => readFileSync(join(ROOT, file), "utf8").trimEnd().split("\n").length > LINES_MAX,
    );
    assert.deepEqual(long, []);
  });

  it("is named after its one concept", () => {
    const vague = files.filter(
      (file) => ["index", "utils"].includes(basename(file, extname(file))) || /\/utils\//.test(file),
    );
    assert.deepEqual(vague, []);
  });
});

function importsOf(file: string): string[] {
  const source = readFileSync(join(SRC, file), "utf8");
  return [...source.matchAll(IMPORT)].map(([, path]) => relative(SRC, join(SRC, dirname(file), path!)));
}

function edges(imports: Map<string, string[]>): [from: string, to: string][] {
  return [...imports].flatMap(([from, targets]) => targets.map((to): [string, string] => [from, to]));
}

function floorOf(file: string): string {
  return file.split("/")[0]!;
}

function mayImport(from: string, to: string): boolean {
  if (to === "../package.json") return true; // Where the version is.
  const floor = floorOf(from);
  return [floor, ...(FLOORS[floor] ?? [])].includes(floorOf(to));
}

/** The first circle found, as the files along it, or nothing. */
function findCycle(imports: Map<string, string[]>): string[] {
  const cleared = new Set<string>();

  function walk(file: string, path: string[]): string[] {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (cleared.has(file)) return [];
    for (const target of imports.get(file) ?? []) {
      const cycle = walk(target, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    cleared.add(file);
    return [];
  }

  for (const file of imports.keys()) {
    const cycle = walk(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
