import assert from "node:assert/strict";
import { eventually } from "../../support/eventually.ts";
import { beginEvents, eventsOf, startModelServer } from "../../support/model-server.ts";
import type { ModelRequest, ModelServer } from "../../support/model-server.ts";
import type { ReceivedSpan } from "../../support/otlp-receiver.ts";
import type { ServerProcess } from "../../support/server-process.ts";
import { makeSourceTree } from "../../support/source-tree.ts";
import type { SourceTree } from "../../support/source-tree.ts";
import { call, documentedAttributes, single, TracedService } from "../../telemetry/traced-service.ts";

const PATIENCE_MS = 60_000;
const UNSET = 0;
const ERROR = 2;
const CLIENT = 3;
const USAGE = { prompt_tokens: 120, completion_tokens: 7 };

describe("the calls of synth to a model", () => {
  let sources: SourceTree;
  let model: ModelServer;
  let service: TracedService;
  let server: ServerProcess;
  let whenAsked: () => void = () => {};

  before(async () => {
    sources = await makeSourceTree({
      "good.md": "# Good\n\ntext",
      "bad.md": "# Bad\n\ntext",
      "slow.md": "# Slow\n\ntext",
    });
    model = await startModelServer(answer);
    service = await TracedService.start();
    server = await service.startReplica("one", {
      SPOOL_SOURCES_DIR: sources.dir,
      SPOOL_MODEL_BASE_URL: model.baseUrl,
      SPOOL_MODEL: "test-model",
      SPOOL_MODEL_API_KEY: "sk-test-0123456789",
    });
    const { task } = await start("ingest", { path: "." });
    await end(task.taskId);
  });
  after(async () => {
    await service?.[Symbol.asyncDispose]();
    await model?.[Symbol.asyncDispose]();
    await sources?.[Symbol.asyncDispose]();
  });

  /** Answers by what the document is called. */
  function answer({ body }: ModelRequest, response: Parameters<typeof beginEvents>[0]): void {
    const document = body.messages.at(-1)!.content;
    if (document.startsWith("Bad")) return void response.writeHead(404).end("{}");
    beginEvents(response);
    if (document.startsWith("Slow"))
      whenAsked(); // And nothing more comes.
    else response.end(eventsOf(["A page."], { usage: USAGE }));
  }

  const start = (kind: string, params: object) =>
    call<{ task: { taskId: string } }>(server, "StartTask", { kind, params });
  const end = (taskId: string) => call<{ status: string }>(server, "GetResult", { taskId, wait: "30s" });

  /** The span of the one call that a synth of a document makes, and of its attempt. */
  async function synthesise(path: string, during: (taskId: string) => Promise<unknown> = async () => {}) {
    const before = service.receiver.spans.length;
    const { task } = await start("synth", { path });
    await during(task.taskId);
    await end(task.taskId);
    const attempt = single(await service.spansOf(task.taskId, 1));
    const chat = await eventually(() =>
      single(service.receiver.spans.slice(before).filter(({ name }) => name.startsWith("chat "))),
    );
    assertWithin(chat, attempt);
    return chat;
  }

  function assertWithin(chat: ReceivedSpan, attempt: ReceivedSpan): void {
    assert.deepEqual([chat.name, chat.kind], ["chat test-model", CLIENT]);
    assert.deepEqual([chat.traceId, chat.parentSpanId], [attempt.traceId, attempt.spanId]);
  }

  it("are spans of the attempt, with sizes of request and answer and without their text", async () => {
    const { attributes, status, events } = await synthesise("good.md");
    const { hostname, port } = new URL(model.baseUrl);
    assert.deepEqual(attributes, {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "test-model",
      "gen_ai.request.stream": true,
      "gen_ai.response.id": "chatcmpl-1",
      "gen_ai.response.model": "test-model",
      "gen_ai.response.finish_reasons": { values: [{ stringValue: "stop" }] },
      "gen_ai.usage.input_tokens": USAGE.prompt_tokens,
      "gen_ai.usage.output_tokens": USAGE.completion_tokens,
      "server.address": hostname,
      "server.port": Number(port),
    });
    assert.deepEqual([status.code, events], [UNSET, []]);
    const notSeen = ["error.type", "gen_ai.request.max_tokens"];
    assert.deepEqual([...Object.keys(attributes), ...notSeen].sort(), await documentedAttributes("Of `chat`"));
  });

  it("are errors with the status if the model's server refuses", async () => {
    const { attributes, status, events } = await synthesise("bad.md");
    assert.deepEqual([status.code, attributes["error.type"]], [ERROR, "404"]);
    assert.equal(single(events).attributes["exception.message"], "the model server answered HTTP 404");
  });

  it("are not errors if the task is cancelled meanwhile", async () => {
    const asked = Promise.withResolvers<void>();
    whenAsked = asked.resolve;
    const { attributes, status, events } = await synthesise("slow.md", async (taskId) => {
      await asked.promise;
      await call(server, "CancelTask", { taskId });
    });
    assert.deepEqual([status.code, attributes["error.type"], events], [UNSET, undefined, []]);
  });
  it("are counted with tokens and durations, in the buckets of the conventions", async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const valueOf = (series: RegExp) => text.split("\n").flatMap((line) => series.exec(line)?.[1] ?? []);
    const answered = 'gen_ai_response_model="test-model"';
    const tokens = (type: string) =>
      new RegExp(`^gen_ai_client_token_usage_sum\\{.*gen_ai_token_type="${type}".*\\} (\\d+)$`);
    assert.deepEqual([valueOf(tokens("input")), valueOf(tokens("output"))], [["120"], ["7"]]);
    const took = (label: string) =>
      valueOf(new RegExp(`^gen_ai_client_operation_duration_count\\{.*${label}.*\\} (\\d+)$`));
    assert.deepEqual([took(answered), took('error_type="404"')], [["1"], ["1"]]); // Of the cancelled one nothing came.
    assert.match(text, /^gen_ai_client_token_usage_bucket\{.*le="67108864"\}/m);
    assert.match(text, /^gen_ai_client_operation_duration_bucket\{.*le="81.92"\}/m);
  });
}).timeout(PATIENCE_MS);
