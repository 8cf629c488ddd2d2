import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code } from "@connectrpc/connect";
import { pino } from "pino";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import { MESSAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TaskEngine } from "../../../src/engine/api/task-engine.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { TaskService } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { openGrpcListener } from "../../../src/server/grpc/grpc-listener.ts";
import type { GrpcListener } from "../../../src/server/grpc/grpc-listener.ts";
import { aTask, fakeEngine, SOME_TASK, TASK_ID } from "../../rpc/fake-engine.ts";
import { failureOf, RawClient } from "../../rpc/raw-client.ts";
import { admission, oneEngine } from "../../support/one-engine.ts";

const BUF = join(import.meta.dirname, "../../../node_modules/@bufbuild/buf/bin/buf");
const TOKEN = "a-token";
const BEARER = { authorization: `Bearer ${TOKEN}` };
const { getTask, startTask, streamEvents } = TaskService.method;

/** An endpoint over an engine that can do so much, and a client of it. */
async function open(calls: Partial<TaskEngine>, token?: string) {
  const log = pino({ level: "silent" });
  const endpoint = await openGrpcListener({
    engines: oneEngine(fakeEngine(calls)),
    host: "127.0.0.1",
    port: 0,
    ...admission(token),
    log,
  });
  const client = new RawClient(endpoint.port);
  return {
    endpoint,
    client,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await endpoint.close({ graceMs: 0 });
    },
  };
}

describe("the gRPC endpoint", () => {
  describe("with a token", () => {
    const REFUSED: [name: string, metadata: Record<string, string>][] = [
      ["no token", {}],
      ["another token", { authorization: "Bearer a-tokem" }],
      ["a longer token", { authorization: `Bearer ${TOKEN}x` }],
      ["an empty one", { authorization: "Bearer " }],
      ["another scheme", { authorization: `Basic ${TOKEN}` }],
      ["a bare token", { authorization: TOKEN }],
      ["two tokens", { authorization: `Bearer ${TOKEN} ${TOKEN}` }],
    ];
    for (const [name, metadata] of REFUSED) {
      it(`refuses a caller with ${name}, in a call and in a stream`, async () => {
        await using server = await open({}, TOKEN);
        const calls = [
          server.client.unary(getTask, { taskId: TASK_ID }, { metadata }),
          server.client.stream(streamEvents, { taskId: TASK_ID }, { metadata }),
        ];
        for (const call of calls) {
          const failure = await failureOf(call);
          assert.deepEqual([failure.code, failure.reason], [Code.Unauthenticated, "UNAUTHENTICATED"]);
          assert.equal(failure.domain, "spool");
          const isToken = name !== "no token" && name !== "an empty one"; // Of which the library sends nothing.
          assert.deepEqual(failure.metadata, { token: isToken ? "wrong" : "missing" });
        }
      });
    }

    it("serves a caller with the token in any spelling of the scheme", async () => {
      await using server = await open(SOME_TASK, TOKEN);
      for (const authorization of [`Bearer ${TOKEN}`, `bearer  ${TOKEN}`]) {
        const metadata = { authorization };
        assert.equal((await server.client.unary(getTask, { taskId: TASK_ID }, { metadata })).task!.taskId, TASK_ID);
      }
    });

    it("reports its health without a token", async () => {
      await using server = await open({}, TOKEN);
      assert.equal((await server.client.unary(Health.method.check, {})).status, Serving.NOT_SERVING);
      server.endpoint.setServing(true);
      for (const service of ["", "spool.v1.TaskService"]) {
        assert.equal((await server.client.unary(Health.method.check, { service })).status, Serving.SERVING);
      }
      const unknown = await failureOf(server.client.unary(Health.method.check, { service: "spool.v1.NoService" }));
      assert.equal(unknown.code, Code.NotFound);
      const watch = server.client.stream(Health.method.watch, {})[Symbol.asyncIterator]();
      assert.equal((await watch.next()).value!.status, Serving.SERVING);
      server.endpoint.setServing(false);
      assert.equal((await watch.next()).value!.status, Serving.NOT_SERVING);
      await watch.return!();
    });
  });

  it("needs no token if none is configured", async () => {
    await using server = await open(SOME_TASK);
    assert.equal((await server.client.unary(getTask, { taskId: TASK_ID })).task!.taskId, TASK_ID);
  });

  describe("by reflection", function () {
    this.timeout(60_000);

    async function curl({ port }: GrpcListener, ...args: string[]) {
      const url = `http://127.0.0.1:${port}${args.at(-1)!.startsWith("/") ? args.pop() : ""}`;
      const command = [BUF, "curl", "--http2-prior-knowledge", "--protocol", "grpc", ...args, url];
      try {
        return { code: 0, ...(await promisify(execFile)(process.execPath, command)) };
      } catch (error) {
        return error as { code: number; stdout: string; stderr: string };
      }
    }

    const GET_TASK = "/spool.v1.TaskService/GetTask";
    const DATA = ["-d", JSON.stringify({ task_id: TASK_ID })];
    const AUTHORIZED = ["--header", `authorization: ${BEARER.authorization}`];

    for (const protocol of ["grpc-v1", "grpc-v1alpha"]) {
      it(`is called by a tool that has no .proto (${protocol})`, async () => {
        await using server = await open(SOME_TASK, TOKEN);
        const reflect = ["--reflect-protocol", protocol, "--reflect-header", "*"];
        const { code, stdout, stderr } = await curl(server.endpoint, ...AUTHORIZED, ...reflect, ...DATA, GET_TASK);
        assert.equal(code, 0, stderr);
        assert.equal((JSON.parse(stdout) as { task: { taskId: string } }).task.taskId, TASK_ID);
      });
    }

    it("describes the details of errors", async () => {
      const missing = { getTask: (taskId: string) => Promise.reject(new TaskNotFound(taskId)) };
      await using server = await open(missing);
      const { code, stderr } = await curl(server.endpoint, ...DATA, GET_TASK);
      assert.equal(code, 8 * Code.NotFound);
      const { details } = JSON.parse(stderr) as { details: { type: string; value: string }[] };
      assert.equal(details[0]!.type, "google.rpc.ErrorInfo");
      assert.ok(Buffer.from(details[0]!.value, "base64").includes("TASK_NOT_FOUND"));
    });

    it("lists the services, including health", async () => {
      await using server = await open({});
      const { stdout } = await curl(server.endpoint, "--list-services");
      assert.deepEqual(stdout.trim().split("\n").sort(), [
        "grpc.health.v1.Health",
        "spool.v1.AdminService",
        "spool.v1.TaskService",
        "spool.v1.WorkerService",
      ]);
    });

    for (const version of ["v1", "v1alpha"]) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const symbol = "google.rpc.ErrorInfo";
      /** A ServerReflectionRequest of the file that holds the symbol. */
      const request = Buffer.concat([Buffer.of(0x22, symbol.length), Buffer.from(symbol)]);

      it(`knows the messages that errors carry (${version})`, async () => {
        await using server = await open({}, TOKEN);
        const answers = await Array.fromAsync(server.client.bytes(path, request, { metadata: BEARER }));
        assert.ok(Buffer.concat(answers).includes("google/rpc/error_details.proto"));
      });

      it(`is refused without the token (${version})`, async () => {
        await using server = await open({}, TOKEN);
        const failure = await failureOf(server.client.bytes(path, request));
        assert.deepEqual([failure.code, failure.reason], [Code.Unauthenticated, "UNAUTHENTICATED"]);
      });
    }
  });

  it("accepts a request of 4 MiB and refuses a larger one", async () => {
    await using server = await open({});
    const request = (bytes: number) =>
      Buffer.concat([Buffer.of(0x0a, 0xfb, 0xff, 0xff, 0x01), Buffer.alloc(bytes - 5, "k")]);
    const whole = await failureOf(server.client.unary(startTask, request(MESSAGE_BYTES_MAX)));
    assert.deepEqual([whole.code, whole.violations[0]?.field], [Code.InvalidArgument, "kind"]);
    const larger = await failureOf(server.client.unary(startTask, request(MESSAGE_BYTES_MAX + 1)));
    assert.deepEqual([larger.code, larger.reason], [Code.InvalidArgument, "INVALID_ARGUMENT"]);
    assert.match(larger.message, /at most 4,194,304 bytes/);
  });

  it("survives calls to unknown methods", async () => {
    await using server = await open(SOME_TASK);
    const session = connect(`http://127.0.0.1:${server.endpoint.port}`);
    for (const path of ["/", "/spool.v1.TaskService/No", "/%00%0d%0a", "/spool.v1.TaskService/é😀", "no path"]) {
      const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
      stream.on("error", () => {});
      await new Promise((resolve) => stream.resume().on("close", resolve));
    }
    session.close();
    assert.equal((await server.client.unary(getTask, { taskId: TASK_ID })).task!.taskId, TASK_ID);
  });

  it("reports that its port is in use", async () => {
    await using server = await open({});
    const { port } = server.endpoint;
    const log = pino({ level: "silent" });
    await assert.rejects(
      openGrpcListener({ engines: oneEngine(fakeEngine({})), host: "127.0.0.1", port, log }),
      /EADDRINUSE/,
    );
  });

  describe("when it closes", () => {
    it("reports NOT_SERVING first, ends streams and watches, lets a start finish, and refuses new calls", async () => {
      const started = Promise.withResolvers<void>();
      const finish = Promise.withResolvers<void>();
      await using server = await open({
        ...SOME_TASK,
        async startTask() {
          started.resolve();
          await finish.promise;
          return { task: aTask(), alreadyStarted: false };
        },
      });
      server.endpoint.setServing(true);
      const start = server.client.unary(startTask, { kind: "echo" });
      const watch = server.client.stream(Health.method.watch, {});
      const stream = server.client.stream(streamEvents, { taskId: TASK_ID });
      await Promise.all([started.promise, once(watch, "data"), once(stream, "data")]);

      const watched = Array.fromAsync(watch).catch((error: unknown) => error as { code: number });
      const lastHealth = once(watch, "data");
      const streamed = failureOf(stream);
      const closed = server.endpoint.close({ graceMs: 60_000 });
      const [{ status }] = (await lastHealth) as [{ status: number }];
      assert.equal(status, Serving.NOT_SERVING);
      const failure = await streamed;
      assert.deepEqual([failure.code, failure.reason, failure.retryMs], [Code.Unavailable, "DRAINING", 1_000]);
      assert.equal(((await watched) as { code: number }).code, Code.Unavailable);

      finish.resolve();
      assert.equal((await start).task!.taskId, TASK_ID);
      await closed;
      assert.equal((await failureOf(server.client.unary(getTask, { taskId: TASK_ID }))).code, Code.Unavailable);
    });

    it("cuts off open calls at the end of its grace", async () => {
      const started = Promise.withResolvers<void>();
      await using server = await open({
        startTask() {
          started.resolve();
          return new Promise(() => {});
        },
      });
      const start = failureOf(server.client.unary(startTask, { kind: "echo" }));
      await started.promise;
      await server.endpoint.close({ graceMs: 20 });
      // Its connection is gone; which of the two it is depends on what the client sees of that first.
      assert.ok([Code.Unavailable, Code.Canceled].includes((await start).code));
    });

    it("closes at once without callers, and only once", async () => {
      await using server = await open({});
      await Promise.all([server.endpoint.close({ graceMs: 60_000 }), server.endpoint.close({ graceMs: 60_000 })]);
    });

    it("ends a waiting call with DRAINING", async () => {
      const waiting = Promise.withResolvers<void>();
      await using server = await open({
        async waitForResult(_query, signal) {
          waiting.resolve();
          await once(signal, "abort");
          throw signal.reason;
        },
      });
      const result = failureOf(server.client.unary(TaskService.method.getResult, { taskId: TASK_ID }));
      await waiting.promise;
      await server.endpoint.close({ graceMs: 60_000 });
      assert.equal((await result).reason, "DRAINING");
    });
  });
});
