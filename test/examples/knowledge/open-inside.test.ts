import assert from "node:assert/strict";
import { opendir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { FileError } from "../../../examples/knowledge/ingest/file-error.ts";
import { openInside } from "../../../examples/knowledge/ingest/open-inside.ts";
import { readSource } from "../../../examples/knowledge/ingest/read-source.ts";
import { resolveSources, walkSources } from "../../../examples/knowledge/ingest/walk.ts";
import { makeSourceTree } from "../../support/source-tree.ts";
import type { SourceTree } from "../../support/source-tree.ts";

const NEVER = new AbortController().signal;
const READS = 3_000;
const WALKS = 500;

/** Where the system has links for open files, and a place where it has none: other systems. */
const SYSTEMS = { "by its descriptor": "/proc/self/fd", "by its inode": "/proc/self/nothing" };

/** Puts a link to the folder outside in the place of a folder. */
async function swapFolder(tree: SourceTree, path: string): Promise<void> {
  await rename(join(tree.dir, path), join(tree.dir, "was"));
  await symlink(tree.outside, join(tree.dir, path));
}

for (const [how, descriptors] of Object.entries(SYSTEMS)) {
  describe(`an opened path, identified ${how},`, () => {
    it("is a file in the sources, and is refused if a parent folder was replaced by a link", async function () {
      await using tree = await makeSourceTree({ "docs/a.md": "mine" });
      await tree.write("../outside/a.md", "secret");
      const sources = await resolveSources(tree.dir);
      const real = join(sources, "docs/a.md");
      await using opened = await openInside(sources, real, { descriptors });
      await swapFolder(tree, "docs");
      await assert.rejects(openInside(sources, real, { descriptors }), { kind: "outside" });
      assert.equal(await opened.handle.readFile("utf8"), "mine");
    });

    it("is a folder in the sources, and is refused if a parent folder was replaced by a link", async () => {
      await using tree = await makeSourceTree({ "docs/b/a.md": "mine" });
      await tree.write("../outside/b/secret.md", "secret");
      const sources = await resolveSources(tree.dir);
      const real = join(sources, "docs/b");
      await using opened = await openInside(sources, real, { isFolder: true, descriptors });
      const listed = await Array.fromAsync(await opendir(opened.path), ({ name }) => name);
      assert.deepEqual(listed, ["a.md"]);
      await swapFolder(tree, "docs");
      await assert.rejects(openInside(sources, real, { isFolder: true, descriptors }), { kind: "outside" });
    });

    it("is refused if it is a link, even a link within the sources", async () => {
      await using tree = await makeSourceTree({ "a.md": "a", "docs/b.md": "b" });
      await tree.link("link.md", "a.md");
      await tree.link("folder", "docs");
      const sources = await resolveSources(tree.dir);
      await assert.rejects(openInside(sources, join(sources, "link.md"), { descriptors }), { code: "ELOOP" });
      await assert.rejects(openInside(sources, join(sources, "folder"), { isFolder: true, descriptors }), {
        code: /^(ENOTDIR|ELOOP)$/,
      });
    });
  });
}

describe("sources in which a folder is repeatedly replaced by a link", () => {
  it("expose no outside file to the walk or to a read @slow", async () => {
    await using tree = await makeSourceTree({ "docs/b/a.md": "mine" });
    await tree.write("../outside/b/a.md", "secret");
    await tree.write("../outside/b/secret.md", "secret");
    await tree.link("swap", tree.outside);
    const sources = await resolveSources(tree.dir);
    await using _ = await swapAllTheTime(sources);
    let read = 0;
    for (let count = 0; count < READS || read === 0; count++) {
      const text = await readSource(sources, "docs/b/a.md").then(
        ({ bytes }) => String(bytes),
        (error: unknown) => assert.ok(error instanceof FileError, String(error)),
      );
      if (text === undefined) continue;
      assert.equal(text, "mine");
      read += 1;
    }
    for (let count = 0; count < WALKS; count++) {
      const found = await Array.fromAsync(walkSources(sources, { path: ".", signal: NEVER }));
      assert.deepEqual(
        found.filter(({ path }) => path.endsWith("secret.md")),
        [],
      );
    }
  });
});

/** Swaps `docs` and the link `swap`, from another thread, until it is disposed of. */
async function swapAllTheTime(dir: string): Promise<AsyncDisposable> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { workerData: { dir, stop } } = require("node:worker_threads");
     const { renameSync } = require("node:fs");
     while (Atomics.load(stop, 0) === 0) {
       renameSync(dir + "/docs", dir + "/was");
       renameSync(dir + "/swap", dir + "/docs");
       renameSync(dir + "/docs", dir + "/swap");
       renameSync(dir + "/was", dir + "/docs");
     }`,
    { eval: true, workerData: { dir, stop } },
  );
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("error", reject).once("exit", () => resolve());
  });
  return {
    async [Symbol.asyncDispose]() {
      Atomics.store(stop, 0, 1);
      await ended;
    },
  };
}
