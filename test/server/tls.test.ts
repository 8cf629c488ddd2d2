import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { get } from "node:https";
import { connect } from "node:net";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { readCertificate } from "../../src/server/config/certificate.ts";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { runSpool } from "../cli/spool-process.ts";
import { aLogEvent, aPage, aTask, TASK_ID } from "../rpc/fake-engine.ts";
import { makeCertificate } from "../support/certificates.ts";
import type { CertificateFiles } from "../support/certificates.ts";
import { startServerProcess } from "../support/server-process.ts";
import { openTestListener } from "./http/open-http-listener.ts";

const SERVER_MS = 60_000;

const ENGINE: Partial<TaskEngine> = {
  getTask: async (taskId) => aTask({ taskId }),
  async *followTape(_query, signal) {
    yield aPage([aLogEvent(1)]);
    await once(signal, "abort");
    throw signal.reason;
  },
};

describe("the HTTP endpoint with a certificate", () => {
  let files: CertificateFiles;
  before(() => {
    files = makeCertificate();
  });
  after(() => files?.[Symbol.dispose]());

  const clientOver = (url: string, httpVersion: "1.1" | "2") =>
    createClient(TaskService, createConnectTransport({ baseUrl: url, httpVersion, nodeOptions: { ca: files.cert } }));

  for (const version of ["1.1", "2"] as const) {
    it(`serves HTTP/${version}, drains it, and closes its connections`, async () => {
      await using server = await openTestListener(ENGINE, { certificate: files });
      const client = clientOver(server.url, version);
      assert.equal((await client.getTask({ taskId: TASK_ID })).task!.taskId, TASK_ID);
      const stream = client.streamEvents({ taskId: TASK_ID })[Symbol.asyncIterator]();
      assert.equal((await stream.next()).value!.events.length, 1);
      const closed = server.endpoint.close({ graceMs: 60_000 });
      const error = await stream.next().catch((reason: unknown) => reason);
      assert.ok(error instanceof ConnectError);
      assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "the server is shutting down"]);
      await closed;
    });
  }

  it("cuts off open HTTP/2 calls at the end of its grace", async () => {
    const started = Promise.withResolvers<void>();
    await using server = await openTestListener(
      {
        startTask() {
          started.resolve();
          return new Promise(() => {});
        },
      },
      { certificate: files },
    );
    const start = clientOver(server.url, "2").startTask({ kind: "echo" });
    const ended = assert.rejects(start);
    await started.promise;
    await server.endpoint.close({ graceMs: 20 });
    await ended;
  });

  it("does not wait beyond its grace for connections without a TLS handshake", async () => {
    await using server = await openTestListener({}, { certificate: files });
    const socket = connect(server.endpoint.port, "127.0.0.1");
    await once(socket, "connect");
    const closed = once(socket.resume(), "close");
    await server.endpoint.close({ graceMs: 20 });
    await closed;
  });

  it("serves the events of a tape over HTTP/2, only to its own pages", async () => {
    await using server = await openTestListener(ENGINE, { certificate: files });
    const session = connectHttp2(server.url, { ca: files.cert });
    const path = `/v1/tasks/${TASK_ID}/events`;
    const { headers, stream } = await ask(session, { ":path": path, origin: server.url });
    assert.deepEqual([headers[":status"], headers["content-type"]], [200, "text/event-stream"]);
    let text = "";
    while (!text.includes("\ndata:")) text += String((await once(stream, "data"))[0]);
    assert.match(text, /^retry: \d+\n\nid: 1\nevent: log\n/);
    stream.close();
    for (const origin of ["https://evil.example", server.url.replace("https", "http")]) {
      assert.equal((await ask(session, { ":path": path, origin })).headers[":status"], 403, origin);
    }
    assert.equal((await ask(session, { ":path": path, ":authority": "evil.example" })).headers[":status"], 403);
    session.close();
  });

  it("answers probes and metrics over HTTP/1.1 and HTTP/2", async () => {
    await using server = await openTestListener(ENGINE, { certificate: files });
    const session = connectHttp2(server.url, { ca: files.cert });
    for (const [path, status] of [
      ["/healthz", 200],
      ["/readyz", 503],
      ["/metrics", 200],
      ["/nothing", 404],
    ] as const) {
      assert.equal((await ask(session, { ":path": path })).headers[":status"], status);
      const answer = get(`${server.url}${path}`, { ca: files.cert });
      const [{ statusCode }] = (await once(answer, "response")) as [IncomingMessage];
      assert.equal(statusCode, status);
      answer.destroy();
    }
    session.close();
  });
});

describe("a certificate", () => {
  let files: CertificateFiles;
  let folder: string;
  before(async () => {
    files = makeCertificate();
    folder = await mkdtemp(join(tmpdir(), "spool-tls-"));
  });
  after(async () => {
    files?.[Symbol.dispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const read = (SPOOL_TLS_CERT: string, SPOOL_TLS_KEY: string) =>
    readCertificate(readConfiguration({ environment: { SPOOL_TLS_CERT, SPOOL_TLS_KEY } }));

  it("is read with its key, and is null if none is configured", async () => {
    assert.deepEqual(await read(files.certFile, files.keyFile), { cert: files.cert, key: files.key });
    assert.equal(await read("", ""), null);
  });

  it("is refused if it is missing, is not PEM, or does not match the key", async () => {
    using others = makeCertificate();
    const text = join(folder, "text.pem");
    await writeFile(text, "no certificate");
    await assert.rejects(read(join(folder, "none"), files.keyFile), /SPOOL_TLS_CERT: .*no such file/);
    await assert.rejects(read(files.certFile, join(folder, "none")), /SPOOL_TLS_KEY: .*no such file/);
    await assert.rejects(read(text, files.keyFile), /must be a matching certificate and key in PEM/);
    await assert.rejects(read(files.certFile, text), /must be a matching certificate and key in PEM/);
    await assert.rejects(read(files.certFile, others.keyFile), /must be a matching certificate and key in PEM/);
  });

  it("is used by both endpoints of a server and accepted by the command line", async () => {
    const environment = {
      SPOOL_DATA_DIR: join(folder, "data"),
      SPOOL_TLS_CERT: files.certFile,
      SPOOL_TLS_KEY: files.keyFile,
    };
    await using server = await startServerProcess({ environment });
    assert.match(server.address, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    const address = server.address.replace("127.0.0.1", "localhost");
    const start = (ca: string, timeout: string) =>
      runSpool(["start", "echo", "--wait", "--timeout", timeout, "--address", address], {
        // gRPC's own variable, which some machines set, would count before Node's.
        environment: { NODE_EXTRA_CA_CERTS: ca, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: "" },
      });
    const trusting = await start(files.certFile, "60s");
    assert.equal(trusting.code, 0, trusting.stderr);
    const wary = await start("", "2s");
    assert.notEqual(wary.code, 0);
    assert.match(wary.stderr, /no response/);
    const transport = createConnectTransport({
      baseUrl: server.url,
      httpVersion: "2",
      nodeOptions: { ca: files.cert },
    });
    const { tasks } = await createClient(TaskService, transport).listTasks({});
    assert.deepEqual(
      tasks.map(({ kind }) => kind),
      ["echo"],
    );
  }).timeout(SERVER_MS);
});

async function ask(session: ClientHttp2Session, headers: Record<string, string>) {
  const stream = session.request(headers);
  const [answered] = (await once(stream, "response")) as [Record<string, unknown>];
  return { stream, headers: answered };
}
