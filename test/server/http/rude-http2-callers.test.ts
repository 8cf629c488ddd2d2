import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, Settings } from "node:http2";
import { aLogEvent, aPage, aTask, TASK_ID } from "../../rpc/fake-engine.ts";
import { makeCertificate } from "../../support/certificates.ts";
import type { CertificateFiles } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";
import { openTestListener } from "./open-http-listener.ts";

const STREAMS_MAX = 2;
const START_TASK = {
  ":method": "POST",
  ":path": "/spool.v1.TaskService/StartTask",
  "content-type": "application/json",
};
const BODY = JSON.stringify({ taskId: TASK_ID });
const EVENTS = { ":path": `/v1/tasks/${TASK_ID}/events` };
const FOLLOWED = { ":path": "/v1/events" };

describe("a caller of the HTTP port over TLS and HTTP/2", () => {
  let files: CertificateFiles;
  before(() => {
    files = makeCertificate();
  });
  after(() => files[Symbol.dispose]());

  async function open(calls: Parameters<typeof openTestListener>[0], options: Parameters<typeof openTestListener>[1]) {
    const server = await openTestListener(calls, { certificate: files, ...options });
    const session = connect(server.url, { ca: files.cert });
    const [settings] = (await once(session, "remoteSettings")) as [Settings];
    return {
      session,
      settings,
      async [Symbol.asyncDispose]() {
        session.destroy();
        await server[Symbol.asyncDispose]();
      },
    };
  }

  for (const [name, headers] of [
    ["a call whose body never ends", START_TASK],
    ["the events of a task", { ...EVENTS, ":method": "GET" }],
    ["the events of many tasks", { ...FOLLOWED, ":method": "GET" }],
  ] as const) {
    it(`without the token gets its stream closed and keeps its connection: ${name}`, async () => {
      await using connection = await open({}, { token: "a-token" });
      for (let round = 0; round < 2; round++) {
        const stream = openStream(connection.session, headers);
        stream.write("{");
        const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
        assert.equal(answer[":status"], 401);
        await once(stream.resume(), "close"); // Its own side has not ended: the server closes it.
        assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
      }
      assert.equal(connection.session.destroyed, false);
    });
  }

  for (const [name, headers] of [
    ["server-sent events", { ...EVENTS, ":method": "GET" }],
    ["calls by Connect", { ...START_TASK, ":path": "/spool.v1.TaskService/GetTask" }],
  ] as const) {
    it(`waits past the limit of open streams and is served when a stream ends: ${name}`, async () => {
      let begun = 0;
      const left = Promise.withResolvers<void>();
      await using connection = await open(
        {
          async getTask(taskId) {
            begun++;
            await left.promise;
            return aTask({ taskId });
          },
          async *followTape() {
            begun++;
            yield aPage([aLogEvent(1)]);
            await left.promise;
          },
        },
        { streamsPerConnection: STREAMS_MAX },
      );
      assert.equal(connection.settings.maxConcurrentStreams, STREAMS_MAX);
      const streams = Array.from({ length: STREAMS_MAX + 1 }, () => openStream(connection.session, headers));
      for (const stream of streams) stream.resume().end(headers[":method"] === "POST" ? BODY : "");
      await eventually(() => assert.equal(begun, STREAMS_MAX));
      // A ping is answered after what was sent before it: the stream past the bound has not begun.
      await new Promise<void>((resolve) => connection.session.ping(() => resolve()));
      assert.equal(begun, STREAMS_MAX);
      left.resolve();
      await eventually(() => assert.equal(begun, STREAMS_MAX + 1));
    });
  }
});

/** A stream whose own side stays open. */
function openStream(session: ClientHttp2Session, headers: Record<string, string>): ClientHttp2Stream {
  const stream = session.request(headers, { endStream: false });
  stream.on("error", () => {});
  return stream;
}
