import assert from "node:assert/strict";
import { once } from "node:events";
import { get as getPlain } from "node:http";
import type { IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";
import { connect } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import { aLogEvent, aPage, aTask, SOME_TASK, TASK_ID } from "../../rpc/fake-engine.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";
import { clientOf, openTestListener, PROTOCOLS } from "./open-http-listener.ts";

const TOKEN = "a-token";
const BEARER = { authorization: `Bearer ${TOKEN}` };

describe("the HTTP endpoint", () => {
  for (const [name, transport] of PROTOCOLS) {
    describe(`by ${name}`, () => {
      it("serves only callers with the token", async () => {
        await using server = await openTestListener(SOME_TASK, { token: TOKEN });
        const client = clientOf(server, transport);
        for (const headers of [{}, { authorization: "Bearer a-tokem" }, { authorization: `Basic ${TOKEN}` }]) {
          for (const call of [
            client.getTask({ taskId: TASK_ID }, { headers }),
            Array.fromAsync(client.streamEvents({ taskId: TASK_ID }, { headers })),
          ]) {
            const error = await failureOf(call);
            assert.deepEqual([error.code, reasonOf(error)], [Code.Unauthenticated, "UNAUTHENTICATED"]);
          }
        }
        assert.equal((await client.getTask({ taskId: TASK_ID }, { headers: BEARER })).task!.taskId, TASK_ID);
      });

      it("returns a reason in calls and streams", async () => {
        await using server = await openTestListener({
          getTask: (taskId) => Promise.reject(new TaskNotFound(taskId)),
          // eslint-disable-next-line require-yield
          async *followTape({ taskId }) {
            throw new TaskNotFound(taskId);
          },
        });
        const client = clientOf(server, transport);
        for (const call of [
          client.getTask({ taskId: TASK_ID }),
          Array.fromAsync(client.streamEvents({ taskId: TASK_ID })),
        ]) {
          const error = await failureOf(call);
          assert.deepEqual([error.code, reasonOf(error)], [Code.NotFound, "TASK_NOT_FOUND"]);
          assert.deepEqual(error.findDetails(ErrorInfoSchema)[0]!.metadata, { task_id: TASK_ID });
        }
      });

      it("hides an unknown error and logs it", async () => {
        await using server = await openTestListener({
          getTask: () => Promise.reject(new Error("a secret")),
          // eslint-disable-next-line require-yield
          async *followTape() {
            throw new Error("a secret");
          },
        });
        const client = clientOf(server, transport);
        for (const [index, call] of [
          client.getTask({ taskId: TASK_ID }),
          Array.fromAsync(client.streamEvents({ taskId: TASK_ID })),
        ].entries()) {
          const error = await failureOf(call);
          assert.deepEqual([error.code, reasonOf(error)], [Code.Internal, "INTERNAL"]);
          assert.doesNotMatch(error.message, /secret/);
          const { metadata } = error.findDetails(ErrorInfoSchema)[0]!;
          assert.match(server.lines[index]!, new RegExp(`a secret.*${metadata["error_id"]}`));
        }
      });

      it("fires a handler's signal at the deadline and when the caller disconnects", async () => {
        const reasons: unknown[] = [];
        await using server = await openTestListener({
          async *followTape(_query, signal) {
            yield aPage([aLogEvent(1)]);
            await once(signal, "abort");
            reasons.push((signal.reason as { reason: string }).reason);
            throw signal.reason;
          },
        });
        const client = clientOf(server, transport);
        const late = await failureOf(Array.fromAsync(client.streamEvents({ taskId: TASK_ID }, { timeoutMs: 50 })));
        assert.equal(late.code, Code.DeadlineExceeded);
        await eventually(() => assert.equal(reasons.length, 1));
        const leaving = new AbortController();
        const stream = client.streamEvents({ taskId: TASK_ID }, { signal: leaving.signal })[Symbol.asyncIterator]();
        assert.equal((await stream.next()).value!.events.length, 1);
        leaving.abort();
        await failureOf(stream.next());
        await eventually(() => assert.equal(reasons.length, 2));
        // Who counts first is the client's clock or the server's.
        assert.ok(["CALL_DEADLINE_EXCEEDED", "CALL_CANCELLED"].includes(String(reasons[0])));
        assert.equal(reasons[1], "CALL_CANCELLED");
      });

      it("ends streams with DRAINING on close, lets a start finish, and stops listening", async () => {
        const started = Promise.withResolvers<void>();
        const finish = Promise.withResolvers<void>();
        await using server = await openTestListener({
          ...SOME_TASK,
          async startTask() {
            started.resolve();
            await finish.promise;
            return { task: aTask(), alreadyStarted: false };
          },
        });
        const client = clientOf(server, transport);
        const start = client.startTask({ kind: "echo" });
        const stream = client.streamEvents({ taskId: TASK_ID })[Symbol.asyncIterator]();
        await Promise.all([started.promise, stream.next()]);
        const closed = server.endpoint.close({ graceMs: 60_000 });
        const error = await failureOf(stream.next());
        assert.deepEqual([error.code, reasonOf(error)], [Code.Unavailable, "DRAINING"]);
        assert.equal(error.findDetails(RetryInfoSchema)[0]!.retryDelay!.seconds, 1n);
        finish.resolve();
        assert.equal((await start).task!.taskId, TASK_ID);
        await closed;
        await assert.rejects(client.getTask({ taskId: TASK_ID }));
      });
    });
  }

  it("survives requests that are not HTTP or have no host", async () => {
    await using server = await openTestListener(SOME_TASK);
    const path = "/spool.v1.TaskService/GetTask";
    for (const [request, status] of [
      ["nonsense\r\n\r\n", 400],
      [`POST ${path} HTTP/1.1\r\n\r\n`, 400],
      [`POST ${path} HTTP/1.0\r\ncontent-type: application/json\r\n\r\n`, 400],
      [`POST ${path} HTTP/1.1\r\nhost: [\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n`, 400],
      [`POST ${path} HTTP/1.1\r\nhost: a b\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n`, 400],
      [`GET //x/y HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`, 404],
    ] as const) {
      const socket = connect(server.endpoint.port, "127.0.0.1").setEncoding("utf8");
      socket.write(request);
      assert.match((await socket.toArray()).join(""), new RegExp(`^HTTP/1.1 ${status} `), request);
    }
    assert.equal((await server.call("GetTask", { taskId: TASK_ID })).status, 200);
  });

  it("keeps an idle connection longer than proxies do, also over TLS", async () => {
    using certificate = makeCertificate();
    for (const [endpoint, get] of [
      [{}, getPlain],
      [{ certificate }, getSecure],
    ] as const) {
      await using server = await openTestListener({}, endpoint);
      const answer = get(`${server.url}/healthz`, {
        ca: certificate.cert,
        agent: false,
        headers: { connection: "keep-alive" },
      });
      const [{ headers }] = (await once(answer, "response")) as [IncomingMessage];
      assert.equal(headers["keep-alive"], "timeout=75");
      answer.destroy();
    }
  });

  it("reports that its port is in use", async () => {
    await using server = await openTestListener({});
    await assert.rejects(openTestListener({}, { port: server.endpoint.port }), /EADDRINUSE/);
  });

  it("cuts off open calls at the end of its grace", async () => {
    const started = Promise.withResolvers<void>();
    await using server = await openTestListener({
      startTask() {
        started.resolve();
        return new Promise(() => {});
      },
    });
    const start = server.call("StartTask", { kind: "echo" });
    const ended = assert.rejects(start);
    await started.promise;
    await server.endpoint.close({ graceMs: 20 });
    await ended;
  });

  it("closes kept-alive connections, idle ones at once", async () => {
    await using server = await openTestListener(SOME_TASK);
    const socket = connect(server.endpoint.port, "127.0.0.1");
    await once(socket, "connect");
    assert.equal((await server.call("GetTask", { taskId: TASK_ID })).status, 200);
    const ended = once(socket.resume(), "end");
    await server.endpoint.close({ graceMs: 60_000 });
    await ended;
  });
});

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await call.then(
    () => assert.fail("the call was to fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}
