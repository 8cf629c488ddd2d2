import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtempDisposable, readdir, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { findBundle } from "../../bin/bundle.js";
import { serveScript, taskMessage } from "../client/scripted-server.ts";
import { EMPTY_DATABASE } from "../../src/store/connection/embedded.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Files and folders that are not under version control. */
const UNTRACKED: ReadonlySet<string> = new Set(["node_modules", "dist", "coverage", ".git", ".spool"]);
/** Packing bundles the console and the command line first. */
const PACK_MS = 60_000;
const run = promisify(execFile);

describe("the package that npm packs", function () {
  this.timeout(PACK_MS);
  let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
  let files: string[];
  const root = () => join(folder.path, "installed", "package");
  const spool = async (...words: string[]) =>
    (await run(process.execPath, [join(root(), "bin", "spool.js"), ...words])).stdout;

  before(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-pack-"));
    // Packing writes to dist, and other tests use the dist of this checkout.
    const clone = join(folder.path, "clone");
    await mkdir(clone);
    for (const name of await readdir(ROOT)) {
      if (!UNTRACKED.has(name)) await cp(join(ROOT, name), join(clone, name), { recursive: true });
    }
    await symlink(join(ROOT, "node_modules"), join(clone, "node_modules"));
    const packed = await run("npm", ["pack", "--silent", "--pack-destination", folder.path], { cwd: clone });
    const tarball = join(folder.path, basename(packed.stdout.trim().split("\n").at(-1)!));
    const installed = join(folder.path, "installed");
    await mkdir(installed);
    await run("tar", ["-xzf", tarball, "-C", installed]);
    await symlink(join(ROOT, "node_modules"), join(installed, "node_modules"));
    files = await readdir(root(), { recursive: true });
  });
  after(() => folder.remove());

  it("contains the bundled command line, the console and the sources, but no tests or benchmarks", () => {
    for (const file of [
      "bin/spool.js",
      "dist/cli/spool.js",
      "dist/console/index.html",
      `dist/embedded/${basename(EMPTY_DATABASE)}`,
      "docs/operating.md",
      "proto/spool/v1/task_service.proto",
      "src/client/client.ts",
      "src/server/serve.ts",
    ]) {
      assert.ok(files.includes(file), file);
    }
    assert.deepEqual(
      files.filter((file) => /^(test|bench|scripts|examples|dist\/cli\/cache)(\/|$)/.test(file)),
      [],
    );
  });

  it("runs its bundle, which prints its version and calls a server", async () => {
    assert.equal(findBundle(root()), join(root(), "dist", "cli", "spool.js"));
    assert.match(await spool("--version"), /^\d+\.\d+\.\d+\n$/);
    await using server = await serveScript({ listTasks: () => ({ tasks: [taskMessage({ kind: "echo" })] }) });
    assert.match(await spool("list", "--address", server.address), /echo +/);
  });

  it("runs doctor, which needs the server's code, from its sources", async () => {
    const none = join(folder.path, "none");
    // It finds no database, so it exits with 1.
    const report = await spool("doctor", "--data-dir", none).catch((error: { stdout: string }) => error.stdout);
    assert.match(report, /no database in/);
  });
});
