import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BUILT_FROM, digestSources } from "../../bin/bundle.js";
import { serveScript, taskMessage } from "../client/scripted-server.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

describe("the bundled command line", () => {
  let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
  const spool = async (...words: string[]) =>
    (await run(process.execPath, [join(folder.path, "bundle", "spool.js"), ...words])).stdout;

  before(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-bundle-"));
    await run(process.execPath, [join(ROOT, "scripts", "build-cli.ts"), join(folder.path, "bundle")]);
  });
  after(() => folder.remove());

  it("prints its version and its help", async () => {
    assert.match(await spool("--version"), /^\d+\.\d+\.\d+\n$/);
    assert.match(await spool("--help"), /Usage: spool/);
  });

  it("calls a server", async () => {
    await using server = await serveScript({ listTasks: () => ({ tasks: [taskMessage({ kind: "echo" })] }) });
    assert.match(await spool("list", "--address", server.address), /echo +/);
  });

  it("runs doctor, which needs the server's code, from the sources", async () => {
    const none = join(folder.path, "none");
    // It finds no database, so it exits with 1.
    const report = await spool("doctor", "--data-dir", none).catch((error: { stdout: string }) => error.stdout);
    assert.match(report, /no database in/);
  });
});

describe("bin/spool.js", () => {
  async function openPackage() {
    const folder = await mkdtempDisposable(join(tmpdir(), "spool-package-"));
    const root = folder.path;
    await cp(join(ROOT, "bin"), join(root, "bin"), { recursive: true });
    await mkdir(join(root, "src", "cli"), { recursive: true });
    await mkdir(join(root, "dist", "cli"), { recursive: true });
    await writeFile(join(root, "package.json"), JSON.stringify({ type: "module" }));
    await writeFile(join(root, "src", "cli", "main.ts"), `console.log("sources" as string);`);
    await writeFile(join(root, "dist", "cli", "spool.js"), `console.log("bundle");`);
    const sources = ["src/cli/main.ts"];
    const builtFrom = JSON.stringify({ sources, digest: digestSources(root, sources) });
    await writeFile(join(root, "dist", "cli", BUILT_FROM), builtFrom);
    const spool = async (...words: string[]) =>
      (await run(process.execPath, [join(root, "bin", "spool.js"), ...words])).stdout.trim();
    return { root, spool, [Symbol.asyncDispose]: () => folder.remove() };
  }

  it("runs the bundle, except for serve: a server runs the sources, because its kinds import the same modules", async () => {
    await using opened = await openPackage();
    assert.equal(await opened.spool("list"), "bundle");
    assert.equal(await opened.spool("serve"), "sources");
  });

  it("runs the sources if they have changed since the build, or if there is no valid bundle", async () => {
    await using opened = await openPackage();
    await writeFile(join(opened.root, "src", "cli", "main.ts"), `console.log("newer" as string);`);
    assert.equal(await opened.spool("list"), "newer");
    await writeFile(join(opened.root, "dist", "cli", BUILT_FROM), "");
    assert.equal(await opened.spool("list"), "newer");
  });
});
