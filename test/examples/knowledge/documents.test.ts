import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readDigests, removeDocuments, replaceDocument } from "../../../examples/knowledge/documents.ts";
import type { NewDocument } from "../../../examples/knowledge/documents.ts";
import { listPageSources, readPageSource, writePage } from "../../../examples/knowledge/pages.ts";
import { describeOnEachKnowledgeStore } from "./knowledge-stores.ts";

function documentAt(path: string, { sha256 = "1", texts = ["one ", "two"] } = {}): NewDocument {
  const chunks = texts.map((text) => ({ heading: "Heading", text }));
  return { path, sha256, bytes: 7, title: "Title", frontMatter: { tags: ["a"] }, chunks };
}

describeOnEachKnowledgeStore("the store of documents", (db) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const put = (document: NewDocument) => replaceDocument(db(), { namespace, document });
  const read = (path: string) => readPageSource(db(), { namespace, path, codePointsMax: 1_000 });

  it("replaces a document with all its chunks", async () => {
    await put(documentAt("a.md", { texts: ["one ", "two ", "three"] }));
    assert.deepEqual(await read("a.md"), { title: "Title", sha256: "1", text: "one two three" });
    await put(documentAt("a.md", { sha256: "2", texts: ["four"] }));
    assert.deepEqual(await read("a.md"), { title: "Title", sha256: "2", text: "four" });
    await put(documentAt("a.md", { sha256: "3", texts: [] }));
    assert.deepEqual(await read("a.md"), { title: "Title", sha256: "3", text: "" });
  });

  it("keeps a document unchanged if its replacement fails halfway", async () => {
    await put(documentAt("a.md"));
    const texts = [...Array<string>(1_000).fill("new "), "not to be stored: \0"];
    await assert.rejects(put(documentAt("a.md", { sha256: "2", texts })));
    assert.deepEqual(await read("a.md"), { title: "Title", sha256: "1", text: "one two" });
  });

  it("does not block the event loop while it stores many chunks", async () => {
    let turns = 0;
    let isStored = false;
    const turn = () => {
      turns += 1;
      if (!isStored) setImmediate(turn);
    };
    setImmediate(turn);
    await put(documentAt("a.md", { texts: Array<string>(1_000).fill("word ") }));
    isStored = true;
    // One for each statement of 50 chunks.
    assert.ok(turns >= 20, `${turns} turns`);
  });

  it("keeps chunks in their order over any number of statements", async () => {
    const texts = Array.from({ length: 2_500 }, (_, ordinal) => `${ordinal} `);
    await put(documentAt("a.md", { texts }));
    const source = await readPageSource(db(), { namespace, path: "a.md", codePointsMax: 100_000 });
    assert.equal(source?.text, texts.join(""));
  });

  it("finds the documents at or below a path that has any characters", async () => {
    const paths = ["a", "a-b/c.md", "a.md", "a/b.md", "a/b/c.md", "a/é.md", "a/\u{10ffff}.md", "a0", "b/a/b.md"];
    for (const path of paths) await put(documentAt(path));
    const below = async (path: string) => [...(await readDigests(db(), { namespace, path })).keys()].sort();
    assert.deepEqual(await below("a"), ["a", "a/b.md", "a/b/c.md", "a/é.md", "a/\u{10ffff}.md"]);
    assert.deepEqual(await below("a/b"), ["a/b/c.md"]);
    assert.deepEqual(await below("a%"), []);
    assert.deepEqual(await below("."), [...paths].sort());
  });

  it("removes any number of documents with their chunks and pages", async () => {
    await put(documentAt("a.md"));
    await put(documentAt("b.md"));
    await writePage(db(), { namespace, path: "a.md", text: "page", model: "m", sourceSha256: "1" });
    const others = Array.from({ length: 2_500 }, (_, index) => `none-${index}.md`);
    assert.equal(await removeDocuments(db(), { namespace, paths: [...others, "a.md"] }), 1);
    assert.equal(await removeDocuments(db(), { namespace, paths: [] }), 0);
    for (const table of ["documents", "chunks", "pages"] as const) {
      const rows = await db().query(`select path from ${table} where namespace = $1`, [namespace]);
      assert.deepEqual(new Set(rows.map((row) => row["path"])), new Set(table === "pages" ? [] : ["b.md"]));
    }
  });

  it("reports which documents have an up-to-date page", async () => {
    for (const path of ["c.md", "a.md", "b.md"]) await put(documentAt(path));
    const write = (path: string, sourceSha256: string) =>
      writePage(db(), { namespace, path, text: "page", model: "m", sourceSha256 });
    assert.equal(await write("a.md", "1"), true);
    assert.equal(await write("b.md", "0"), true);
    assert.equal(await write("none.md", "1"), false);
    const list = (limit: number) => listPageSources(db(), { namespace, path: ".", limit });
    assert.deepEqual(await list(3), [
      { path: "a.md", done: true },
      { path: "b.md", done: false },
      { path: "c.md", done: false },
    ]);
    assert.equal((await list(2)).length, 2);
    assert.equal(await write("b.md", "1"), true);
    assert.equal((await list(3))[1]?.done, true);
  });
});
