import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { ModelSettings } from "../../../examples/knowledge/synth/model.ts";
import { SOURCE_CODE_POINTS_MAX, synthKind } from "../../../examples/knowledge/synth/synth.ts";
import { removeDocuments, replaceDocument } from "../../../examples/knowledge/documents.ts";
import { beginEvents, eventsOf, startModelServer } from "../../support/model-server.ts";
import { runRecorded } from "../../support/recorded-context.ts";
import { describeOnEachKnowledgeStore } from "./knowledge-stores.ts";

const API_KEY = "sk-test-0123456789";

describeOnEachKnowledgeStore("synth with a model", (db) => {
  /** Synth in a namespace of its own, over documents whose title and text are their path. */
  async function prepare(baseUrl: string, paths: string[], settings: Partial<ModelSettings> = {}) {
    const namespace = randomUUID();
    for (const path of paths) {
      const chunks = [{ heading: "", text: `The text of ${path}.` }];
      const document = { path, sha256: path, bytes: 1, title: path, frontMatter: {}, chunks };
      await replaceDocument(db(), { namespace, document });
    }
    const model = { baseUrl, apiKey: API_KEY, model: "test-model", timeoutMs: 15_000, ...settings };
    const kind = synthKind({ db: db(), namespace, model });
    const pages = "select path, model, text from pages where namespace = $1 order by path";
    return {
      namespace,
      kind,
      synth: (params = {}) => runRecorded(kind, params),
      pages: () => db().query(pages, [namespace]),
    };
  }

  it("emits the answer in pieces and then stores the page", async () => {
    await using server = await startModelServer((_, response) => {
      beginEvents(response);
      response.end(eventsOf(["It says", "", null, " **this**.", "\n"]));
    });
    const { synth, pages } = await prepare(server.baseUrl, ["a.md"], { maxTokens: 99 });
    const { result, events } = await synth();
    assert.deepEqual(result, { written: 1, skipped: 0, failed: 0, errors: [], errors_total: 0 });
    const series = { name: "a.md", mode: "append", field: "text" };
    assert.deepEqual(events, [
      { type: "partial", kind: "page_delta", payload: { path: "a.md", text: "It says" }, series },
      { type: "partial", kind: "page_delta", payload: { path: "a.md", text: " **this**." }, series },
      { type: "partial", kind: "page_delta", payload: { path: "a.md", text: "\n" }, series },
      { type: "progress", phase: "synth", current: 1, total: 1, detail: { path: "a.md", outcome: "written" } },
    ]);
    assert.deepEqual(await pages(), [
      { path: "a.md", model: "test-model", text: "# a.md\n\nIt says **this**.\n\nSource: `a.md`\n" },
    ]);

    const [request] = server.requests;
    assert.equal(request?.url, "/v1/chat/completions");
    assert.equal(request.headers.authorization, `Bearer ${API_KEY}`);
    const { messages, ...body } = request.body;
    assert.deepEqual(body, {
      model: "test-model",
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 99,
    });
    assert.deepEqual(messages.at(-1), { role: "user", content: "a.md\n\nThe text of a.md." });
  });

  it("does not call the model for finished documents or documents without text", async () => {
    await using server = await startModelServer((_, response) => {
      beginEvents(response);
      response.end(eventsOf(["Summary."]));
    });
    const { namespace, synth, pages } = await prepare(server.baseUrl, ["a.md"]);
    const empty = { path: "b.md", sha256: "b", bytes: 0, title: "Empty", frontMatter: {}, chunks: [] };
    await replaceDocument(db(), { namespace, document: empty });
    await synth();
    assert.deepEqual((await synth()).result.skipped, 2);
    assert.equal(server.requests.length, 1);
    assert.deepEqual(
      (await pages()).map((page) => page["model"]),
      ["test-model", "extractive"],
    );
    await synth({ force_all: true });
    assert.equal(server.requests.length, 2);
  });

  it("sends a document up to the bound", async () => {
    await using server = await startModelServer((_, response) => {
      beginEvents(response);
      response.end(eventsOf(["Summary."]));
    });
    const { namespace, synth } = await prepare(server.baseUrl, []);
    const start = "😀".repeat(SOURCE_CODE_POINTS_MAX);
    const chunks = [{ heading: "", text: `${start}😀` }];
    const document = { path: "a.md", sha256: "a", bytes: 1, title: "T", frontMatter: {}, chunks };
    await replaceDocument(db(), { namespace, document });
    await synth();
    assert.equal(server.requests[0]?.body.messages.at(-1)?.content, `T\n\n${start}`);
  });

  it("retries if the server fails, then reports the document as failed and continues", async () => {
    await using server = await startModelServer(({ body }, response) => {
      if (body.messages.at(-1)?.content.includes("b.md")) {
        response.writeHead(500, { "content-type": "application/json", "retry-after-ms": "1" });
        response.end(JSON.stringify({ error: { message: `no ${API_KEY}`, code: "server_overloaded" } }));
        return;
      }
      beginEvents(response);
      response.end(eventsOf(["Summary."]));
    });
    const { synth, pages } = await prepare(server.baseUrl, ["a.md", "b.md", "c.md"]);
    const { result, events } = await synth();
    const error = { path: "b.md", message: "the model server answered HTTP 500 (server_overloaded)" };
    assert.deepEqual(result, { written: 2, skipped: 0, failed: 1, errors: [error], errors_total: 1 });
    const index = events.findIndex((event) => event.type === "log");
    assert.deepEqual(events.slice(index, index + 3), [
      { type: "log", level: "ERROR", message: `b.md: ${error.message}` },
      { type: "partial", kind: "source_error", payload: error },
      { type: "progress", phase: "synth", current: 2, total: 3, detail: { path: "b.md", outcome: "failed" } },
    ]);
    assert.equal(server.requests.filter(({ body }) => body.messages.at(-1)?.content.includes("b.md")).length, 3);
    assert.deepEqual(
      (await pages()).map((page) => page["path"]),
      ["a.md", "c.md"],
    );
  });

  it("fails if the server refuses the key, without showing the key", async () => {
    for (const status of [401, 403]) {
      await using server = await startModelServer((_, response) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${API_KEY}`, code: API_KEY } }));
      });
      const { synth } = await prepare(server.baseUrl, ["a.md", "b.md"]);
      await assert.rejects(synth(), {
        name: "TaskError",
        reason: "MODEL_REFUSED",
        message: `the model server answered HTTP ${status}`,
        details: undefined,
      });
      assert.equal(server.requests.length, 1);
    }
  });

  it("closes the connection when its signal fires and writes nothing", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await startModelServer((_, response) => {
      response.on("close", () => closed.resolve());
      beginEvents(response);
      response.write(eventsOf(["Half an "], { finishReason: null }));
    });
    const { kind, pages } = await prepare(server.baseUrl, ["a.md", "b.md"]);
    const abort = new AbortController();
    const reason = new Error("cancelled");
    const run = runRecorded(
      kind,
      {},
      {
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === "partial") abort.abort(reason);
        },
      },
    );
    await assert.rejects(run, reason);
    await closed.promise;
    assert.equal(server.requests.length, 1);
    assert.deepEqual(await pages(), []);
  });

  it("closes the connection if its events are no longer accepted", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await startModelServer((_, response) => {
      response.on("close", () => closed.resolve());
      beginEvents(response);
      response.write(eventsOf(["Half an "], { finishReason: null }));
    });
    const { kind } = await prepare(server.baseUrl, ["a.md"]);
    const lost = new Error("lease lost");
    await assert.rejects(
      runRecorded(
        kind,
        {},
        {
          onEvent: () => {
            throw lost;
          },
        },
      ),
      lost,
    );
    await closed.promise;
  });

  it("stores no page of a document that is removed meanwhile", async () => {
    await using server = await startModelServer((_, response) => {
      beginEvents(response);
      response.end(eventsOf(["Summary."]));
    });
    const { namespace, kind, pages } = await prepare(server.baseUrl, ["a.md"]);
    const { result } = await runRecorded(
      kind,
      {},
      {
        onEvent: async (event) => {
          if (event.type === "partial") await removeDocuments(db(), { namespace, paths: ["a.md"] });
        },
      },
    );
    assert.deepEqual([result.written, result.skipped], [0, 1]);
    assert.deepEqual(await pages(), []);
  });
});
