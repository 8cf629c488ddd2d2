import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { SOURCES_MAX, synthKind } from "../../../examples/knowledge/synth/synth.ts";
import { removeDocuments, replaceDocument } from "../../../examples/knowledge/documents.ts";
import type { KindDatabase } from "../../../src/domain/kind-database.ts";
import { runRecorded } from "../../support/recorded-context.ts";
import { describeOnEachKnowledgeStore } from "./knowledge-stores.ts";

describeOnEachKnowledgeStore("synth without a model", (db) => {
  function prepare() {
    const namespace = randomUUID();
    const kind = synthKind({ db: db(), namespace, model: null });
    return {
      namespace,
      kind,
      put: (path: string, text: string) => putDocument(db(), namespace, path, text),
      synth: (params = {}) => runRecorded(kind, params),
      pages: () => readPages(db(), namespace),
    };
  }

  it("writes a page for each document and warns once that no model is used", async () => {
    const { put, synth, pages } = prepare();
    await put("a.md", "A tape has events. Each event has a number.");
    await put("docs/b.md", "");
    const { result, events } = await synth();
    assert.deepEqual(result, { written: 2, skipped: 0, failed: 0, errors: [], errors_total: 0 });
    assert.deepEqual(events, [
      { type: "log", level: "WARN", message: "no model is configured: pages are made of the documents' own sentences" },
      { type: "progress", phase: "synth", current: 1, total: 2, detail: { path: "a.md", outcome: "written" } },
      { type: "progress", phase: "synth", current: 2, total: 2, detail: { path: "docs/b.md", outcome: "written" } },
    ]);
    assert.deepEqual(await pages(), [
      {
        path: "a.md",
        model: "extractive",
        source_sha256: "sha of A tape has events. Each event has a number.",
        text: "# Title of a.md\n\n- A tape has events.\n- Each event has a number.\n\nSource: `a.md`\n",
      },
      {
        path: "docs/b.md",
        model: "extractive",
        source_sha256: "sha of ",
        text: "# Title of docs/b.md\n\nSource: `docs/b.md`\n",
      },
    ]);
  });

  it("skips finished documents unless they have changed or all are requested", async () => {
    const { put, synth, pages } = prepare();
    await put("a.md", "One.");
    await put("b.md", "Two.");
    await synth();
    await put("b.md", "Two, changed.");
    const second = await synth();
    assert.deepEqual([second.result.written, second.result.skipped], [1, 1]);
    assert.deepEqual(
      second.progress("synth").map(({ detail }) => detail),
      [
        { path: "a.md", outcome: "skipped" },
        { path: "b.md", outcome: "written" },
      ],
    );
    assert.match((await pages())[1]?.text ?? "", /Two, changed\./);
    const all = await synth({ force_all: true });
    assert.deepEqual([all.result.written, all.result.skipped], [2, 0]);
  });

  it("processes only the documents at or below a path", async () => {
    const { put, synth, pages } = prepare();
    for (const path of ["docs/a.md", "docs/b/c.md", "docs.md", "docs-2/a.md", "e.md"]) await put(path, "Text.");
    await synth({ path: "./docs/" });
    await synth({ path: "e.md" });
    assert.deepEqual(
      (await pages()).map((page) => page.path),
      ["docs/a.md", "docs/b/c.md", "e.md"],
    );
    assert.equal((await synth({ path: "nothing" })).result.written, 0);
  });

  it("accepts the maximum number of documents and fails past it", async () => {
    const { namespace, synth } = prepare();
    await db().query(
      `insert into documents (namespace, path, sha256, title, front_matter, bytes)
      select $1, number || '.md', 'sha', 'title', '{}', 1
      from generate_series(0, $2::int) as number`,
      [namespace, SOURCES_MAX],
    );
    await db().query(
      `insert into pages (namespace, path, text, model, source_sha256)
      select namespace, path, 'text', 'extractive', sha256 from documents where namespace = $1`,
      [namespace],
    );
    await assert.rejects(synth(), { name: "TaskError", reason: "TOO_MANY_SOURCES" });
    await removeDocuments(db(), { namespace, paths: ["0.md"] });
    assert.equal((await synth()).result.skipped, SOURCES_MAX);
  });

  it("fails without a model if one is required", async () => {
    const { put, synth, pages } = prepare();
    await put("a.md", "Text.");
    await assert.rejects(synth({ require_model: true }), { name: "TaskError", reason: "MODEL_NOT_CONFIGURED" });
    assert.deepEqual(await pages(), []);
  });

  it("stops between two documents when its signal fires", async () => {
    const { kind, put, pages } = prepare();
    await put("a.md", "One.");
    await put("b.md", "Two.");
    const abort = new AbortController();
    const reason = new Error("cancelled");
    const run = runRecorded(
      kind,
      {},
      {
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === "progress") abort.abort(reason);
        },
      },
    );
    await assert.rejects(run, reason);
    assert.equal((await pages()).length, 1);
  });

  it("stores no page of a document that is removed meanwhile or later", async () => {
    const { kind, namespace, put, pages } = prepare();
    await put("a.md", "One.");
    await put("b.md", "Two.");
    const { result } = await runRecorded(
      kind,
      {},
      {
        onEvent: async (event) => {
          if (event.type === "log") return;
          await removeDocuments(db(), { namespace, paths: ["a.md", "b.md"] });
        },
      },
    );
    assert.deepEqual([result.written, result.skipped], [1, 1]);
    assert.deepEqual(await pages(), []);
  });
});

async function putDocument(db: KindDatabase, namespace: string, path: string, text: string): Promise<void> {
  await replaceDocument(db, {
    namespace,
    document: {
      path,
      sha256: `sha of ${text}`,
      bytes: text.length,
      title: `Title of ${path}`,
      frontMatter: {},
      chunks: text === "" ? [] : [{ heading: "", text }],
    },
  });
}

interface Page {
  path: string;
  model: string;
  source_sha256: string;
  text: string;
}

async function readPages(db: KindDatabase, namespace: string): Promise<Page[]> {
  return db.query<Page>("select path, model, source_sha256, text from pages where namespace = $1 order by path", [
    namespace,
  ]);
}
