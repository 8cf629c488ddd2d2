import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import {
  ANSWER_CHARS_MAX,
  connectModel,
  DELTA_CHARS_MAX,
  modelCalls,
} from "../../../examples/knowledge/synth/model.ts";
import type { ModelSettings } from "../../../examples/knowledge/synth/model.ts";
import { beginEvents, eventsOf, startModelServer, writeInPieces } from "../../support/model-server.ts";

const SETTINGS = { apiKey: "sk-test-0123456789", model: "test-model", timeoutMs: 15_000 };
/** As synth connects to it. */
function connectTo(settings: ModelSettings) {
  return connectModel(settings, modelCalls(settings));
}

const NEVER = new AbortController().signal;

describe("the answer of a model", () => {
  /** What comes of a server that answers like this. */
  async function answerOf(
    respond: (response: ServerResponse) => void | Promise<void>,
    { signal = NEVER, ...settings }: Partial<ModelSettings> & { signal?: AbortSignal } = {},
  ): Promise<string[]> {
    await using server = await startModelServer((_, response) => respond(response));
    const ask = await connectTo({ ...SETTINGS, baseUrl: server.baseUrl, ...settings });
    return await Array.fromAsync(ask({ title: "Title", text: "Text" }, signal));
  }

  it("is read from pieces of any size", async () => {
    const deltas = ["Größe ", "磁带", "😀", " e\u0301 ", "\r\n\r\n", "data: [DONE]", "\\u00e9 end"];
    for (const bytes of [1, 2, 3, 7]) {
      const answer = answerOf(async (response) => {
        beginEvents(response);
        await writeInPieces(response, eventsOf(deltas), bytes);
        response.end();
      });
      assert.deepEqual(await answer, deltas);
    }
  });

  it("has no piece that an event or Postgres cannot store", async () => {
    const answer = answerOf((response) => {
      beginEvents(response);
      response.end(eventsOf(["a\ud83d", "\ude00b", "c\0d", "\0", "\ude00", "\ud83d", "e", "\ud83d"]));
    });
    assert.deepEqual(await answer, ["a", "😀b", "cd", "\ufffd", "\ufffde"]);
  });

  it("is accepted at the bound, with large deltas split, and refused past the bound", async () => {
    const respond = (chars: number) => (response: ServerResponse) => {
      beginEvents(response);
      response.end(eventsOf(["x".repeat(chars)]));
    };
    const answer = await answerOf(respond(ANSWER_CHARS_MAX));
    assert.deepEqual(answer, Array<string>(ANSWER_CHARS_MAX / DELTA_CHARS_MAX).fill("x".repeat(DELTA_CHARS_MAX)));
    await assert.rejects(answerOf(respond(ANSWER_CHARS_MAX + 1)), {
      name: "SourceFailed",
      message: `the answer of the model is longer than ${ANSWER_CHARS_MAX} characters`,
    });
  });

  it("is accepted if the token limit ends it", async () => {
    const answer = answerOf((response) => {
      beginEvents(response);
      response.end(eventsOf(["As far as it goes"], { finishReason: "length" }));
    });
    assert.deepEqual(await answer, ["As far as it goes"]);
  });

  const half = eventsOf(["Half an "], { finishReason: null });
  const ways: Record<string, (response: ServerResponse) => void> = {
    "its connection breaks": (response) => response.write(half, () => response.destroy()),
    "it ends without a final event": (response) => response.end(half),
    "an event in it is incomplete": (response) => response.end(`${half}data: {"choices":[{"delta":{"con`),
    "an event in it is not JSON": (response) => response.end(`${half}data: oops\n\ndata: [DONE]\n\n`),
    "an error follows instead of the rest": (response) => response.end(`${half}data: {"error":{"message":"x"}}\n\n`),
    "it is withheld": (response) => response.end(eventsOf(["Half an "], { finishReason: "content_filter" })),
    "it has no text": (response) => response.end(eventsOf([])),
  };
  for (const [way, end] of Object.entries(ways)) {
    it(`is refused if ${way}`, async () => {
      const answer = answerOf((response) => {
        beginEvents(response);
        end(response);
      });
      await assert.rejects(answer, { name: "SourceFailed", message: /^the (?:answer of the )?model/ });
    });
  }

  it("is refused past its timeout, if it does not begin or does not end", async () => {
    for (const begin of [() => {}, beginEvents]) {
      await assert.rejects(answerOf(begin, { timeoutMs: 50 }), {
        name: "SourceFailed",
        message: "the model gave no complete answer within 50 ms",
      });
    }
  });

  it("is abandoned at once when the signal fires, also before it begins and between two tries", async () => {
    const busy = (response: ServerResponse) => response.writeHead(429, { "retry-after": "30" }).end();
    for (const respond of [() => {}, busy, beginEvents]) {
      const abort = new AbortController();
      const reason = new Error("cancelled");
      const answer = answerOf(
        (response) => {
          respond(response);
          setImmediate(() => abort.abort(reason));
        },
        { signal: abort.signal },
      );
      await assert.rejects(answer, reason);
    }
  });

  it("fails with a message that contains no text of the server", async () => {
    const answers = {
      401: { name: "TaskError", reason: "MODEL_REFUSED", message: "the model server answered HTTP 401" },
      403: { name: "TaskError", reason: "MODEL_REFUSED", message: "the model server answered HTTP 403" },
      404: { name: "SourceFailed", message: "the model server answered HTTP 404" },
    };
    for (const [status, error] of Object.entries(answers)) {
      const answer = answerOf((response) => {
        const body = { error: { message: `Incorrect API key provided: ${SETTINGS.apiKey}`, code: SETTINGS.apiKey } };
        response.writeHead(Number(status), { "content-type": "application/json" }).end(JSON.stringify(body));
      });
      await assert.rejects(answer, (thrown: Error) => {
        assert.equal(thrown.cause, undefined);
        return true;
      });
      await assert.rejects(answer, error);
    }
  });

  it("is accepted from a server that reports no token counts and refuses the request for them", async () => {
    for (const status of [400, 422]) {
      await using server = await startModelServer(({ body }, response) => {
        if ("stream_options" in body) return void response.writeHead(status).end("{}");
        beginEvents(response);
        response.end(eventsOf(["Text"]));
      });
      const ask = await connectTo({ ...SETTINGS, baseUrl: server.baseUrl });
      for (const _ of [1, 2]) {
        assert.deepEqual(await Array.fromAsync(ask({ title: "Title", text: "Text" }, NEVER)), ["Text"]);
      }
      assert.deepEqual(
        server.requests.map(({ body }) => "stream_options" in body),
        [true, false, false],
      );
    }
  });

  it("fails if the server cannot be reached", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, "close");
    const ask = await connectTo({ ...SETTINGS, baseUrl: `http://127.0.0.1:${port}/v1` });
    await assert.rejects(Array.fromAsync(ask({ title: "Title", text: "Text" }, NEVER)), {
      name: "SourceFailed",
      message: "the model server cannot be reached (ECONNREFUSED)",
    });
  });
});
