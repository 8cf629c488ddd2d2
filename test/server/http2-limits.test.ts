import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { pino } from "pino";
import { STREAM_RESET_BURST_DEFAULT } from "../../src/domain/limits.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import {
  GetTaskRequestSchema,
  StreamEventsRequestSchema,
  TaskService,
} from "../../src/gen/spool/v1/task_service_pb.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { aLogEvent, aPage, aTask, fakeEngine, TASK_ID } from "../rpc/fake-engine.ts";
import { makeCertificate } from "../support/certificates.ts";
import type { CertificateFiles } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { openTestListener } from "./http/open-http-listener.ts";
import { oneEngine } from "../support/one-engine.ts";

/** One connection of HTTP/2 to an endpoint, and the calls of its protocol as bare streams, read by nobody yet. */
interface Connection extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  stream(): ClientHttp2Stream;
  getTask(): ClientHttp2Stream;
}

type Open = (calls: Partial<TaskEngine>, streamResetBurst?: number) => Promise<Connection>;

const PATH = `/${TaskService.typeName}`;
const REQUEST = { taskId: TASK_ID };

let files: CertificateFiles;

const openGrpc: Open = async (calls, streamResetBurst = STREAM_RESET_BURST_DEFAULT) => {
  const log = pino({ level: "silent" });
  const endpoint = await openGrpcListener({
    engines: oneEngine(fakeEngine(calls)),
    host: "127.0.0.1",
    port: 0,
    streamResetBurst,
    log,
  });
  const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  const session = await connected(`http://127.0.0.1:${endpoint.port}`);
  const call = (name: string, message: Uint8Array) =>
    send(session, { ...headers, ":path": `${PATH}/${name}` }, envelope(message));
  return {
    session,
    stream: () => call("StreamEvents", toBinary(StreamEventsRequestSchema, create(StreamEventsRequestSchema, REQUEST))),
    getTask: () => call("GetTask", toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, REQUEST))),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await endpoint.close({ graceMs: 0 });
    },
  };
};

const openHttp: Open = async (calls, streamResetBurst = STREAM_RESET_BURST_DEFAULT) => {
  const server = await openTestListener(calls, { certificate: files, streamResetBurst });
  const session = await connected(server.url);
  const call = (name: string, type: string, body: Uint8Array) =>
    send(session, { ":method": "POST", "content-type": type, ":path": `${PATH}/${name}` }, body);
  const json = Buffer.from(toJsonString(GetTaskRequestSchema, create(GetTaskRequestSchema, REQUEST)));
  return {
    session,
    stream: () => call("StreamEvents", "application/connect+json", envelope(json)),
    getTask: () => call("GetTask", "application/json", json),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
};

const openSse: Open = async (...parts) => {
  const connection = await openHttp(...parts);
  const stream = () => send(connection.session, { ":path": `/v1/tasks/${TASK_ID}/events` });
  return { ...connection, stream };
};

/** More than Node's own default would let a connection cancel at once, by half. */
const BURST = 1_500;
const SMALL_BURST = 50;
/** What Node would bound, 10 MB a connection, twice over. */
const READERS = 200;
const PAGE_EVENTS = 100;
const PAGES = 40;
const LINE = "x".repeat(1_000);

for (const [name, open] of [
  ["the gRPC endpoint", openGrpc],
  ["the HTTP endpoint by Connect", openHttp],
  ["the HTTP endpoint by server-sent events", openSse],
] as const) {
  describe(`one HTTP/2 connection to ${name}`, () => {
    before(() => {
      files = makeCertificate();
    });
    after(() => files[Symbol.dispose]());

    it("serves a call beside stopped readers, which keep one page each in memory", async () => {
      let pulled = 0;
      await using connection = await open({
        getTask: async (taskId) => aTask({ taskId }),
        async *followTape() {
          for (let page = 0; page < PAGES; page++) {
            pulled++;
            const events = Array.from({ length: PAGE_EVENTS }, (_, index) =>
              aLogEvent(page * PAGE_EVENTS + index + 1, LINE),
            );
            yield aPage(events, { lastSeq: BigInt(PAGES * PAGE_EVENTS), hasMore: true });
          }
        },
      });
      const readers = Array.from({ length: READERS }, () => connection.stream());
      const failures: unknown[] = [];
      for (const reader of readers) reader.on("error", (error) => failures.push(error));
      await eventually(() => assert.ok(pulled >= READERS));
      for (let round = 0; round < 20; round++) assert.equal(await statusOf(connection.getTask()), 200);
      assert.equal(pulled, READERS);
      assert.deepEqual(failures, []);
    });

    const follow: Partial<TaskEngine> = {
      getTask: async (taskId) => aTask({ taskId }),
      async *followTape(_query, signal) {
        yield aPage([aLogEvent(1)]);
        await once(signal, "abort");
        throw signal.reason;
      },
    };

    it(`keeps a neighbour's stream while ${BURST} others are opened and cancelled at once`, async () => {
      await using connection = await open(follow);
      const neighbour = connection.stream();
      await once(neighbour, "data");
      await cancelAtOnce(connection, BURST);
      assert.equal(await statusOf(connection.getTask()), 200);
      assert.deepEqual([neighbour.destroyed, connection.session.destroyed], [false, false]);
    });

    it("stays open at the limit of cancelled streams and is closed past the limit", async () => {
      await using connection = await open(follow, SMALL_BURST);
      const neighbour = connection.stream();
      const ended = Promise.withResolvers<void>();
      neighbour.on("error", () => ended.resolve());
      connection.session.on("error", () => {});
      await once(neighbour, "data");
      await cancelAtOnce(connection, SMALL_BURST);
      assert.equal(await statusOf(connection.getTask()), 200);
      assert.equal(neighbour.destroyed, false);
      await cancelAtOnce(connection, 10 * SMALL_BURST); // Of which a tenth of a burst is allowed each second.
      await ended.promise;
      assert.ok(connection.session.destroyed);
    });
  });
}

async function connected(url: string): Promise<ClientHttp2Session> {
  const session = connect(url, { ...(url.startsWith("https") && { ca: files.cert }) });
  await once(session, "connect");
  return session;
}

function send(session: ClientHttp2Session, headers: Record<string, string>, body?: Uint8Array): ClientHttp2Stream {
  const stream = session.request(headers);
  if (body !== undefined) stream.end(body);
  return stream;
}

/** A message as gRPC and Connect put it on a stream. */
function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

async function statusOf(stream: ClientHttp2Stream): Promise<unknown> {
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  stream.resume();
  await once(stream, "end");
  return headers[":status"];
}

/** Resolves when the cancels are on their way: what is sent after that arrives after them. */
async function cancelAtOnce(connection: Connection, count: number): Promise<void> {
  const streams = Array.from({ length: count }, () => connection.stream());
  const closed = streams.map((stream) => new Promise<void>((resolve) => stream.once("close", resolve)));
  for (const stream of streams) {
    stream.on("error", () => {}); // Its connection may end first.
    stream.close(constants.NGHTTP2_CANCEL);
  }
  await Promise.all(closed);
}
