import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { CHUNK_CHARS_MAX } from "../../../examples/knowledge/ingest/chunk.ts";
import { ingestKind } from "../../../examples/knowledge/ingest/ingest.ts";
import { REPORTED_ERRORS_MAX } from "../../../examples/knowledge/reported-errors.ts";
import { runRecorded } from "../../support/recorded-context.ts";
import { makeSourceTree } from "../../support/source-tree.ts";
import { describeOnEachKnowledgeStore } from "./knowledge-stores.ts";

const NO_ERRORS = { errors: [], errors_total: 0 };

describeOnEachKnowledgeStore("ingest", (db) => {
  /** Ingest over a tree, in a namespace of its own. */
  function prepare(sourcesDir: string) {
    const namespace = randomUUID();
    const kind = ingestKind({ db: db(), namespace, sourcesDir });
    return {
      namespace,
      kind,
      ingest: (path = ".") => runRecorded(kind, { path }),
      documents: () =>
        db().query(
          "select path, sha256, title, front_matter, bytes from documents where namespace = $1 order by path",
          [namespace],
        ),
      paths: async () => {
        const rows = await db().query("select path from documents where namespace = $1 order by path", [namespace]);
        return rows.map((row) => row["path"]);
      },
      textOf: async (path: string) => {
        const chunks = "select text from chunks where namespace = $1 and path = $2 order by ordinal";
        return (await db().query(chunks, [namespace, path])).map((row) => row["text"]).join("");
      },
    };
  }

  it("stores a tree, with an event per file and an exact report", async () => {
    const sources = {
      "guide/page.html": "<title>A page</title><p>Hello",
      "guide/start.md": "---\ntitle: Start here\ntags: [a]\n---\n# Heading\n\nSome text.\n",
      "notes.txt": "Just notes, 記録 😀.\n",
    };
    await using tree = await makeSourceTree({
      ...sources,
      "picture.png": "not text",
      "node_modules/dep/readme.md": "# no",
      ".git/description.txt": "no",
      ".hidden.md": "no",
    });
    const { ingest, documents, textOf } = prepare(tree.dir);
    const { result, events } = await ingest();

    assert.deepEqual(result, {
      path: ".",
      scanned: 3,
      added: 3,
      updated: 0,
      unchanged: 0,
      removed: 0,
      chunks: 3,
      ...NO_ERRORS,
    });
    assert.deepEqual(events, [
      { type: "progress", phase: "scan", current: 3, total: 3 },
      {
        type: "progress",
        phase: "ingest",
        current: 1,
        total: 3,
        detail: { path: "guide/page.html", outcome: "added" },
      },
      { type: "progress", phase: "ingest", current: 2, total: 3, detail: { path: "guide/start.md", outcome: "added" } },
      { type: "progress", phase: "ingest", current: 3, total: 3, detail: { path: "notes.txt", outcome: "added" } },
    ]);
    const digest = (content: string) => createHash("sha256").update(content).digest("hex");
    const fileOf = (path: keyof typeof sources) => ({
      path,
      sha256: digest(sources[path]),
      bytes: Buffer.byteLength(sources[path]),
    });
    assert.deepEqual(await documents(), [
      { ...fileOf("guide/page.html"), title: "A page", front_matter: {} },
      { ...fileOf("guide/start.md"), title: "Start here", front_matter: { title: "Start here", tags: ["a"] } },
      { ...fileOf("notes.txt"), title: "notes", front_matter: {} },
    ]);
    assert.equal(await textOf("guide/start.md"), "# Heading\n\nSome text.\n");
    assert.equal(await textOf("notes.txt"), "Just notes, 記録 😀.\n");
  });

  it("stores a long text exactly, in ordered chunks", async () => {
    const text = Array.from({ length: 2_000 }, (_, line) => `Line ${line} of many, 😀.${line % 9 ? "" : "\n"}\n`).join(
      "",
    );
    await using tree = await makeSourceTree({ "long.md": text });
    const { ingest, textOf } = prepare(tree.dir);
    const { result } = await ingest();
    assert.equal(await textOf("long.md"), text);
    assert.ok(Number(result.chunks) >= text.length / CHUNK_CHARS_MAX);
  });

  it("stores chunks that full-text search finds, with headings ranked first", async () => {
    const words = "filler ".repeat(50);
    await using tree = await makeSourceTree({
      "a.md": `# Leases\n\n${words}\n\n# Others\n\nA word on leases. ${words}`,
      "b.md": "# Sessions\n\nNothing of the kind.",
    });
    const { ingest, namespace } = prepare(tree.dir);
    await ingest();
    const rows = await db().query(
      `select path, heading from chunks, websearch_to_tsquery('simple', $2) as query
      where namespace = $1 and search @@ query
      order by ts_rank(search, query) desc`,
      [namespace, "leases"],
    );
    assert.deepEqual(rows, [
      { path: "a.md", heading: "Leases" },
      { path: "a.md", heading: "Others" },
    ]);
  });

  it("skips unchanged files and processes changed, added and removed files", async () => {
    await using tree = await makeSourceTree({ "a.md": "a", "b.md": "b", "c/d.md": "d", "c/e.md": "e" });
    const { ingest, paths, textOf } = prepare(tree.dir);
    await ingest();
    await tree.write("b.md", "b, changed");
    await tree.write("f.md", "f");
    await tree.remove("c/d.md");
    const second = await ingest();
    assert.deepEqual(second.result, {
      path: ".",
      scanned: 4,
      added: 1,
      updated: 1,
      unchanged: 2,
      removed: 1,
      chunks: 2,
      ...NO_ERRORS,
    });
    assert.deepEqual(
      second.progress("ingest").map(({ detail }) => [detail?.path, detail?.outcome]),
      [
        ["a.md", "unchanged"],
        ["b.md", "updated"],
        ["c/e.md", "unchanged"],
        ["f.md", "added"],
      ],
    );
    assert.deepEqual(await paths(), ["a.md", "b.md", "c/e.md", "f.md"]);
    assert.equal(await textOf("b.md"), "b, changed");
    assert.equal(await textOf("c/d.md"), "");
  });

  it("removes documents only below the path and in its own namespace", async () => {
    const files = { "docs/a.md": "a", "docs/b/c.md": "c", "docs.md": "x", "docs-2/a.md": "x", "docs0/a.md": "x" };
    await using tree = await makeSourceTree(files);
    const mine = prepare(tree.dir);
    const others = prepare(tree.dir);
    await mine.ingest();
    await others.ingest();
    await tree.remove("docs/a.md");
    await tree.remove("docs/b");
    await tree.remove("docs-2");
    const { result } = await mine.ingest("docs");
    assert.equal(result.removed, 2);
    assert.deepEqual(await mine.paths(), ["docs-2/a.md", "docs.md", "docs0/a.md"]);
    assert.equal((await others.paths()).length, 5);
  });

  it("accepts a file as its path", async () => {
    await using tree = await makeSourceTree({ "docs/a.md": "a", "docs/b.md": "b", "docs/c.pdf": "c" });
    const { ingest, paths } = prepare(tree.dir);
    const { result } = await ingest("docs/a.md");
    assert.deepEqual([result.scanned, result.added], [1, 1]);
    assert.deepEqual(await paths(), ["docs/a.md"]);
    const unsupported = await ingest("docs/c.pdf");
    assert.deepEqual(unsupported.partials("file_error"), [
      { path: "docs/c.pdf", kind: "unsupported", message: "is not a Markdown, HTML or text file by its name" },
    ]);
  });

  it("reports a broken file, keeps its last good document, and continues", async () => {
    await using tree = await makeSourceTree({ "a.md": "fine", "b.md": "was fine", "c.md": "fine" });
    const { ingest, paths, textOf } = prepare(tree.dir);
    await ingest();
    await tree.write("b.md", Buffer.from([0x61, 0xff, 0x62]));
    await tree.write("c.md", "fine, and changed");
    await tree.write("d.md", "a\0b");
    await tree.write("e.md", "---\na: [\n---\n");
    const { result, partials, progress } = await ingest();
    const errors = [
      { path: "b.md", kind: "encoding", message: "the file is not UTF-8" },
      { path: "d.md", kind: "nul", message: "the file holds a NUL character" },
    ];
    assert.deepEqual(partials("file_error").slice(0, 2), errors);
    assert.deepEqual(partials("file_error")[2]?.kind, "front_matter");
    assert.deepEqual(result.errors, partials("file_error"));
    const counts = { scanned: 5, added: 0, updated: 1, unchanged: 1, removed: 0, chunks: 1, errors_total: 3 };
    assert.deepEqual(result, { path: ".", ...counts, errors: result.errors });
    assert.deepEqual(progress("ingest")[1]?.detail, { path: "b.md", outcome: "error" });
    assert.deepEqual(await paths(), ["a.md", "b.md", "c.md"]);
    assert.equal(await textOf("b.md"), "was fine");
  });

  it("lists a limited number of errors in the report and all errors on the tape", async () => {
    await using tree = await makeSourceTree();
    const broken = REPORTED_ERRORS_MAX + 1;
    for (let index = 0; index < broken; index++) await tree.link(`${String(index).padStart(5, "0")}.md`, "nowhere");
    const { ingest } = prepare(tree.dir);
    const { result, partials } = await ingest();
    assert.equal(partials("file_error").length, broken);
    assert.equal(result.errors_total, broken);
    assert.deepEqual(result.errors, partials("file_error").slice(0, REPORTED_ERRORS_MAX));
  });

  it("stops between two files when its signal fires, and the next run does the rest", async () => {
    await using tree = await makeSourceTree({ "a.md": "a", "b.md": "b", "c.md": "c" });
    const { kind, ingest, paths } = prepare(tree.dir);
    const abort = new AbortController();
    const reason = new Error("cancelled");
    const run = runRecorded(
      kind,
      { path: "." },
      {
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === "progress" && event.phase === "ingest") abort.abort(reason);
        },
      },
    );
    await assert.rejects(run, reason);
    assert.deepEqual(await paths(), ["a.md"]);
    const { result } = await ingest();
    assert.deepEqual([result.added, result.unchanged], [2, 1]);
  });

  it("ends if its events are no longer accepted", async () => {
    await using tree = await makeSourceTree({ "a.md": "a", "b.md": "b" });
    const { kind } = prepare(tree.dir);
    const lost = new Error("lease lost");
    await assert.rejects(
      runRecorded(
        kind,
        { path: "." },
        {
          onEvent: () => {
            throw lost;
          },
        },
      ),
      lost,
    );
  });

  it("leaves complete documents if two runs overlap", async () => {
    const text = (word: string) => `${word} `.repeat(3_000);
    await using tree = await makeSourceTree({ "docs/a.md": text("old"), "docs/b.md": text("old") });
    const { ingest, textOf } = prepare(tree.dir);
    await ingest();
    await tree.write("docs/a.md", text("new"));
    await tree.write("docs/b.md", text("new"));
    await Promise.all([ingest("."), ingest("docs"), ingest("docs/a.md")]);
    assert.equal(await textOf("docs/a.md"), text("new"));
    assert.equal(await textOf("docs/b.md"), text("new"));
  });
});
