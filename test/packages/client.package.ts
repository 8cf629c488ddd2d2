import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { addProject, install, measure, nodeOf, NODE_MAJORS, ROOT, TARBALLS } from "./support/installed.ts";
import { startInstalledServer } from "./support/installed-server.ts";
import type { InstalledServer } from "./support/installed-server.ts";
import { report } from "./support/report.ts";

const run = promisify(execFile);

const PACKAGES_MAX = 25;
const MEGABYTES_MAX = 15;
/** Of a page that starts and follows tasks, minified and compressed. */
const WEB_KIB_MAX = 50;

const STRICT = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, types: ["node"] };
const LIBRARIES = { target: "es2022", lib: ["es2022", "esnext.disposable", "dom", "dom.iterable"] };

/** How projects of users are configured. */
const PROJECTS = [
  { name: "node16, ESM", type: "module", options: { module: "node16" }, compiler: "TypeScript 7" },
  { name: "nodenext, ESM", type: "module", options: { module: "nodenext" }, compiler: "TypeScript 7" },
  { name: "nodenext, ESM", type: "module", options: { module: "nodenext" }, compiler: "TypeScript 5" },
  { name: "nodenext, CommonJS", type: "commonjs", options: { module: "nodenext" }, compiler: "TypeScript 7" },
  {
    name: "bundler",
    type: "module",
    options: { module: "esnext", moduleResolution: "bundler" },
    compiler: "TypeScript 7",
  },
] as const;
type Compiler = (typeof PROJECTS)[number]["compiler"];

/** Returns the folder of a compiler. The checkout has TypeScript 7; version 5 is installed from npm. */
async function compilerOf(compiler: Compiler): Promise<string> {
  const root = compiler === "TypeScript 7" ? ROOT : await install("typescript@5.9.3");
  return join(root, "node_modules", "typescript", "bin", "tsc");
}

describe("the client, installed from its tarball", () => {
  let folder: string;
  let server: InstalledServer;
  before(async () => {
    folder = await install(TARBALLS.client);
    const { packages, megabytes } = await measure(folder);
    report("client, installed", `${packages} packages, ${megabytes} MB`);
    assert.ok(packages <= PACKAGES_MAX, `${packages} packages`);
    assert.ok(megabytes <= MEGABYTES_MAX, `${megabytes} MB`);
    addProject(folder, ["scenario.ts"]);
    server = await startInstalledServer();
  });
  after(() => server?.[Symbol.asyncDispose]());

  for (const { name, type, options, compiler } of PROJECTS) {
    it(`has types for ${compiler} with ${name}, without skipLibCheck`, async () => {
      await compile({ type, options, compiler });
      report(`types, ${compiler}`, `${name}: no errors`);
    });
  }

  for (const major of NODE_MAJORS) {
    for (const type of ["module", "commonjs"] as const) {
      it(`starts, follows and runs tasks on Node ${major} as ${type}`, async () => {
        const compiled = await compile({ type, options: { module: "nodenext" }, compiler: "TypeScript 7" });
        const node = await nodeOf(major);
        const { stdout: version } = await run(node, ["--version"]);
        const { stdout } = await run(node, [compiled, server.address, server.url]);
        assert.deepEqual(JSON.parse(stdout), {
          caller: "final",
          web: "final",
          refusal: "INVALID_ARGUMENT params.name",
          webRefusal: "INVALID_ARGUMENT params.name",
          testing: { sum: 9 },
        });
        report(`Node ${version.trim()}, ${type}`, "caller, worker, web client and runKind ran");
      });
    }
  }

  it("has an entry for the web without a module of Node, of a size that is kept", async () => {
    const entry = join(folder, "page.ts");
    writeFileSync(entry, 'export { connect } from "@spooltape/client/web";\n');
    const { outputFiles, warnings } = await build({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      platform: "browser",
      format: "esm",
      write: false,
    });
    assert.deepEqual(warnings, []);
    const kib = gzipSync(outputFiles[0]!.contents).length / 1024;
    report("web client, minified and compressed", `${kib.toFixed(1)} KiB (bound ${WEB_KIB_MAX})`);
    assert.ok(kib <= WEB_KIB_MAX, `${kib} KiB`);
  });

  /** Compiles the scenario into a folder of its own. @returns the compiled file */
  async function compile(project: {
    type: "module" | "commonjs";
    options: Record<string, string>;
    compiler: Compiler;
  }): Promise<string> {
    const { type, options, compiler } = project;
    const place = join(folder, [type, ...Object.values(options), compiler].join("-").replaceAll(" ", ""));
    const compilerOptions = { ...STRICT, ...LIBRARIES, ...options, outDir: place };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["scenario.ts"] }));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type }));
    await run(process.execPath, [await compilerOf(compiler), "-p", folder]).catch((error: { stdout: string }) =>
      assert.fail(error.stdout),
    );
    writeFileSync(join(place, "package.json"), JSON.stringify({ type }));
    return join(place, "scenario.js");
  }
});
