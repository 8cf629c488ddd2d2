import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { ingestKind } from "../../../examples/knowledge/ingest/ingest.ts";
import { FILE_BYTES_MAX, FILE_PATH_BYTES_MAX, readSource } from "../../../examples/knowledge/ingest/read-source.ts";
import { resolveSources, walkSources } from "../../../examples/knowledge/ingest/walk.ts";
import type { KindDatabase } from "../../../src/domain/kind-database.ts";
import { runRecorded } from "../../support/recorded-context.ts";
import { makeSourceTree } from "../../support/source-tree.ts";
import type { SourceTree } from "../../support/source-tree.ts";
import { describeOnEachKnowledgeStore } from "./knowledge-stores.ts";

const NEVER = new AbortController().signal;

describe("the walk over the sources", () => {
  async function walk(tree: SourceTree, path = ".", limits?: { filesMax: number; foldersMax: number }) {
    const options = { path, signal: NEVER, ...(limits === undefined ? {} : { limits }) };
    const found = await Array.fromAsync(walkSources(await resolveSources(tree.dir), options));
    return found.map(({ path, error }) => (error === undefined ? path : `${path}: ${error.kind}`)).sort();
  }

  it("finds files with the extension of a source, in any case", async () => {
    await using tree = await makeSourceTree({ "a.MD": "", "b.Markdown": "", "c.htm": "", "d.HTML": "", "e.txt": "" });
    for (const path of ["f.mdx", "md", "g.md.bak", "h"]) await tree.write(path, "");
    assert.deepEqual(await walk(tree), ["a.MD", "b.Markdown", "c.htm", "d.HTML", "e.txt"]);
  });

  it("follows links within the sources, under the path of the link", async () => {
    await using tree = await makeSourceTree({ "docs/a.md": "a", "versions/1/b.md": "b" });
    await tree.link("current", "versions/1");
    await tree.link("linked.md", "docs/a.md");
    await tree.link("notes/up.md", "../docs/a.md");
    assert.deepEqual(await walk(tree), ["current/b.md", "docs/a.md", "linked.md", "notes/up.md", "versions/1/b.md"]);
    assert.deepEqual(await walk(tree, "current"), ["current/b.md"]);
  });

  it("ends at a cycle of links", async () => {
    await using tree = await makeSourceTree({ "a/b/c.md": "c", "d/e.md": "e" });
    await tree.link("a/b/self", ".");
    await tree.link("a/b/up", "../..");
    await tree.link("a/to-d", "../d");
    await tree.link("d/to-a", "../a");
    assert.deepEqual(await walk(tree), ["a/b/c.md", "a/to-d/e.md", "d/e.md", "d/to-a/b/c.md"]);
  });

  it("reports links that lead outside and links that are broken", async () => {
    await using tree = await makeSourceTree();
    await tree.write("../outside/secret.md", "secret");
    await tree.write("../sources-2/secret.md", "secret");
    await tree.link("file.md", "../outside/secret.md");
    await tree.link("folder", tree.outside);
    await tree.link("sibling", "../sources-2");
    await tree.link("everything", "/");
    await tree.link("picture.png", "/dev/null");
    await tree.link("device.md", "/dev/zero");
    await tree.link("nowhere.md", "nothing");
    await tree.link("nowhere", "nothing");
    await tree.link("loop.md", "loop-2.md");
    await tree.link("loop-2.md", "loop.md");
    assert.deepEqual(await walk(tree), [
      "everything: outside",
      "file.md: outside",
      "folder: outside",
      "loop-2.md: unreadable",
      "loop.md: unreadable",
      "nowhere.md: unreadable",
      "sibling: outside",
    ]);
  });

  it("ignores entries other than files and folders, and treats a folder with any name as a folder", async () => {
    await using tree = await makeSourceTree({ "folder.md/a.md": "a" });
    await tree.pipe("pipe.md");
    await tree.link("to-pipe.md", "pipe.md");
    assert.deepEqual(await walk(tree), ["folder.md/a.md"]);
    await assert.rejects(walk(tree, "pipe.md"), {
      reason: "PATH_NOT_FOUND",
      message: "pipe.md is neither a file nor a folder",
    });
  });

  it("fails if its path leads outside or does not exist, without naming the sources folder", async () => {
    await using tree = await makeSourceTree({ "a.md": "a" });
    await tree.link("out", tree.outside);
    await tree.link("loop", "loop");
    await assert.rejects(walk(tree, "out"), {
      name: "TaskError",
      reason: "PATH_OUTSIDE_SOURCES",
      message: "out leads out of the folder of sources",
    });
    for (const [path, code] of [
      ["nothing", "ENOENT"],
      ["a.md/b", "ENOTDIR"],
      ["loop", "ELOOP"],
    ] as const) {
      await assert.rejects(walk(tree, path), {
        name: "TaskError",
        reason: "PATH_NOT_FOUND",
        message: `${path} cannot be found in the folder of sources (${code})`,
      });
    }
    await assert.rejects(resolveSources(join(tree.dir, "nothing")), { reason: "PATH_NOT_FOUND" });
  });

  it("accepts the maximum number of files and of folders, and fails past either", async () => {
    await using tree = await makeSourceTree({ "a.md": "", "b.md": "", "c/d.md": "" });
    assert.equal((await walk(tree, ".", { filesMax: 3, foldersMax: 2 })).length, 3);
    await assert.rejects(walk(tree, ".", { filesMax: 2, foldersMax: 2 }), { reason: "TREE_TOO_LARGE" });
    await assert.rejects(walk(tree, ".", { filesMax: 3, foldersMax: 1 }), { reason: "TREE_TOO_LARGE" });
  });

  it("is bounded if links make a small tree very large", async () => {
    await using tree = await makeSourceTree({ "30/a.md": "a" });
    for (let level = 0; level < 30; level++) {
      for (const name of ["x", "y"]) await tree.link(`${level}/${name}`, `../${level + 1}`);
    }
    await assert.rejects(walk(tree, "0", { filesMax: 1_000, foldersMax: 1_000 }), { reason: "TREE_TOO_LARGE" });
  });

  it("stops when its signal fires", async () => {
    await using tree = await makeSourceTree({ "a.md": "a" });
    const reason = new Error("cancelled");
    const walking = walkSources(await resolveSources(tree.dir), { path: ".", signal: AbortSignal.abort(reason) });
    await assert.rejects(Array.fromAsync(walking), reason);
  });
});

describe("reading a source", () => {
  it("accepts a limited number of bytes", async () => {
    await using tree = await makeSourceTree({
      "at.md": "x".repeat(FILE_BYTES_MAX),
      "past.md": "x".repeat(FILE_BYTES_MAX + 1),
    });
    const sources = await resolveSources(tree.dir);
    assert.equal((await readSource(sources, "at.md")).bytes.length, FILE_BYTES_MAX);
    await assert.rejects(readSource(sources, "past.md"), {
      kind: "too_large",
      message: `the file has ${FILE_BYTES_MAX + 1} bytes; at most ${FILE_BYTES_MAX} are ingested`,
    });
  });

  it("checks again that the source is a file in the sources", async () => {
    await using tree = await makeSourceTree({ "docs/a.md": "mine" });
    await tree.write("../outside/a.md", "secret");
    const sources = await resolveSources(tree.dir);
    await rename(join(tree.dir, "docs"), join(tree.dir, "was"));
    await symlink(tree.outside, join(tree.dir, "docs"));
    await assert.rejects(readSource(sources, "docs/a.md"), { kind: "outside" });
    await tree.pipe("pipe.md");
    await assert.rejects(readSource(sources, "pipe.md"), { kind: "unreadable", message: "it is not a file any more" });
    await assert.rejects(readSource(sources, "was"), { kind: "unreadable" });
    await assert.rejects(readSource(sources, "gone.md"), {
      kind: "unreadable",
      message: "the file cannot be read (ENOENT)",
    });
  });

  it("fails if the source changes meanwhile", async function () {
    // Files there are said to be of size 0, like one that is written to right after.
    if (process.platform !== "linux") this.skip();
    await assert.rejects(readSource("/proc", "self/status"), { message: "the file changed while it was read" });
  });
});

describeOnEachKnowledgeStore("ingest of a tree with broken files", (db) => {
  const openKind = (database: KindDatabase, tree: SourceTree) => {
    const namespace = randomUUID();
    const kind = ingestKind({ db: database, namespace, sourcesDir: tree.dir });
    const listPaths = () =>
      database.query("select path from documents where namespace = $1 order by path", [namespace]);
    return {
      ingest: () => runRecorded(kind, { path: "." }),
      paths: async () => (await listPaths()).map((row) => row["path"]),
    };
  };

  it("continues after a failed source and reports each failure", async () => {
    await using tree = await makeSourceTree({ "a.md": "a", "z.md": "z" });
    await tree.write("../outside/secret.md", "secret");
    await tree.write("large.md", "x".repeat(FILE_BYTES_MAX + 1));
    await tree.link("b.md", "../outside/secret.md");
    await tree.link("c.md", "nowhere");
    await tree.pipe("pipe.md");
    const { ingest, paths } = openKind(db(), tree);
    const { result } = await ingest();
    assert.deepEqual(result, {
      path: ".",
      scanned: 5,
      added: 2,
      updated: 0,
      unchanged: 0,
      removed: 0,
      chunks: 2,
      errors: [
        { path: "b.md", kind: "outside", message: "the link leads out of the sources" },
        { path: "c.md", kind: "unreadable", message: "the link cannot be followed (ENOENT)" },
        {
          path: "large.md",
          kind: "too_large",
          message: `the file has ${FILE_BYTES_MAX + 1} bytes; at most ${FILE_BYTES_MAX} are ingested`,
        },
      ],
      errors_total: 3,
    });
    assert.deepEqual(await paths(), ["a.md", "z.md"]);
  });

  it("keeps the document of a broken link and removes the document of a link that leads outside", async () => {
    await using tree = await makeSourceTree({ "a.md": "a", "b.md": "b", "c/d.md": "d" });
    const { ingest, paths } = openKind(db(), tree);
    await ingest();
    for (const path of ["a.md", "b.md", "c"]) await tree.remove(path);
    await tree.write("../outside/d.md", "secret");
    await tree.link("a.md", "nowhere");
    await tree.link("b.md", "../outside/d.md");
    await tree.link("c", "../outside");
    const { result } = await ingest();
    assert.equal(result.removed, 2);
    assert.deepEqual(await paths(), ["a.md"]);
  });

  it("keeps the documents of a folder that cannot be read", async () => {
    // A link to itself is read by nobody; a folder without permission would be, by root.
    await using tree = await makeSourceTree({ "a.md/b.md": "b", "a.md/c/d.md": "d" });
    const { ingest, paths } = openKind(db(), tree);
    await ingest();
    await tree.remove("a.md");
    await tree.link("a.md", "a.md");
    const { result } = await ingest();
    assert.deepEqual([result.removed, result.errors_total], [0, 1]);
    assert.deepEqual(await paths(), ["a.md/b.md", "a.md/c/d.md"]);
  });

  it("stores a path at the bound and reports that a longer path is too long", async () => {
    const folders = `${"f".repeat(250)}/`.repeat(8);
    const path = (bytes: number) => folders + "é.md".padStart(bytes - folders.length - 1, "x");
    await using tree = await makeSourceTree({ [path(FILE_PATH_BYTES_MAX)]: "a", [path(FILE_PATH_BYTES_MAX + 1)]: "b" });
    const { ingest, paths } = openKind(db(), tree);
    const { result } = await ingest();
    assert.deepEqual(await paths(), [path(FILE_PATH_BYTES_MAX)]);
    assert.deepEqual(result.errors, [
      {
        path: path(FILE_PATH_BYTES_MAX + 1),
        kind: "path_too_long",
        message: `the path is longer than ${FILE_PATH_BYTES_MAX} bytes`,
      },
    ]);
  });

  it("stores files of only punctuation in linear time", async () => {
    const marks = [
      "> ",
      ">",
      "- ",
      "[",
      "* ",
      "`",
      "~/",
      "@a1",
      "a_",
      "/.",
      "a-1.",
      "<!--",
      "|-",
      "\n# ",
      "\n```",
      "<a ",
    ];
    // At once they would take PGlite minutes, were runs of marks not cut.
    const files = marks.map((mark, index) => [`${index}.md`, mark.repeat(150_000 / mark.length)] as const);
    await using tree = await makeSourceTree(Object.fromEntries(files));
    const { ingest } = openKind(db(), tree);
    const { result } = await ingest();
    assert.deepEqual([result.added, result.errors], [marks.length, []]);
  });

  it("stores a file of the maximum size", async () => {
    await using tree = await makeSourceTree({
      "large.txt": "word\n".repeat(FILE_BYTES_MAX / 5).padEnd(FILE_BYTES_MAX, "x"),
    });
    const { ingest } = openKind(db(), tree);
    const { result } = await ingest();
    assert.deepEqual([result.added, result.errors_total], [1, 0]);
  });
});
