import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request as the server had it. */
export interface ModelRequest {
  url: string;
  headers: IncomingHttpHeaders;
  body: {
    model: string;
    stream: boolean;
    max_completion_tokens?: number;
    messages: { role: string; content: string }[];
  };
}

export interface ModelServer extends AsyncDisposable {
  /** For the settings of a model: with the version. */
  readonly baseUrl: string;
  readonly requests: ModelRequest[];
}

/** A server of chat completions on 127.0.0.1 that answers each request as the test has it, byte for byte. */
export async function startModelServer(
  answer: (request: ModelRequest, response: ServerResponse) => void | Promise<void>,
): Promise<ModelServer> {
  const requests: ModelRequest[] = [];

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await text(incoming)) as ModelRequest["body"];
    const request = { url: incoming.url ?? "", headers: incoming.headers, body };
    requests.push(request);
    await answer(request, response);
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: Error) => response.destroy(error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

interface AnswerOptions {
  finishReason?: string | null;
  /** What a last event says of it, as servers do that were asked to. */
  usage?: { prompt_tokens: number; completion_tokens: number };
}

/** The deltas of an answer as server-sent events, each a chat.completion.chunk. */
export function eventsOf(deltas: readonly (string | null)[], options: AnswerOptions = {}): string {
  const { finishReason = "stop", usage } = options;
  const event = (fields: object) =>
    `data: ${JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_700_000_000,
      model: "test-model",
      ...fields,
    })}\n\n`;
  const chunk = (delta: object, finish_reason: string | null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] });
  const content = deltas.map((text) => chunk(text === null ? {} : { content: text }, null));
  const used = usage === undefined ? [] : [event({ choices: [], usage })];
  const end = finishReason === null ? [] : [chunk({}, finishReason), ...used, "data: [DONE]\n\n"];
  return [chunk({ role: "assistant", content: "" }, null), ...content, ...end].join("");
}

export function beginEvents(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
}

/** Writes so many bytes at a time, each in a packet of its own as far as anyone can tell. */
export async function writeInPieces(response: ServerResponse, content: string, bytes: number): Promise<void> {
  const whole = Buffer.from(content);
  for (let start = 0; start < whole.length; start += bytes) {
    await new Promise<void>((resolve, reject) => {
      response.write(whole.subarray(start, start + bytes), (error) => (error ? reject(error) : resolve()));
    });
  }
}
