import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { InvalidArgument, StoreUnavailable, TaskNotFound } from "../../../src/domain/errors.ts";
import type { SpoolError } from "../../../src/domain/errors.ts";
import {
  GetTaskResponseSchema,
  StartTaskResponseSchema,
  TaskService,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { failureOf } from "../raw-client.ts";
import { aborted, frame, TestServer } from "../test-server.ts";

const { getTask, startTask, streamEvents } = TaskService.method;

function never(): Promise<never> {
  return new Promise(() => {});
}

describe("the gRPC binding", () => {
  describe("of a unary call", () => {
    it("passes request and headers to the handler and the response to the caller", async () => {
      await using server = await TestServer.open({
        async getTask({ taskId }, { requestHeader }) {
          return create(GetTaskResponseSchema, { task: { taskId, kind: requestHeader.get("x-kind")! } });
        },
      });
      const { task } = await server.client.unary(getTask, { taskId: "é😀" }, { metadata: { "x-kind": "echo" } });
      assert.deepEqual([task!.taskId, task!.kind], ["é😀", "echo"]);
    });

    it("sends an error with its code, message and details", async () => {
      await using server = await TestServer.open({
        async getTask({ taskId }) {
          throw new TaskNotFound(taskId);
        },
        async startTask() {
          throw new InvalidArgument([{ field: "kind", description: "must be 1 to 128 characters" }]);
        },
        async getResult() {
          throw new StoreUnavailable(new Error("the password is 1234"));
        },
      });
      const missing = await failureOf(server.client.unary(getTask, { taskId: "é" }));
      assert.equal(missing.code, Code.NotFound);
      assert.equal(missing.message, "there is no task é");
      assert.deepEqual(
        [missing.domain, missing.reason, missing.metadata],
        ["spool", "TASK_NOT_FOUND", { task_id: "é" }],
      );
      const invalid = await failureOf(server.client.unary(startTask, {}));
      assert.equal(invalid.code, Code.InvalidArgument);
      assert.deepEqual(invalid.violations, [{ field: "kind", description: "must be 1 to 128 characters" }]);
      const unavailable = await failureOf(server.client.unary(TaskService.method.getResult, {}));
      assert.deepEqual([unavailable.code, unavailable.retryMs], [Code.Unavailable, 1_000]);
      assert.doesNotMatch(unavailable.message, /1234/);
    });

    it("hides an unknown error and logs it under the id that the caller gets", async () => {
      await using server = await TestServer.open({
        async getTask() {
          throw new Error("outer secret", { cause: new Error("inner secret") });
        },
      });
      const failure = await failureOf(server.client.unary(getTask, {}));
      assert.deepEqual([failure.code, failure.reason], [Code.Internal, "INTERNAL"]);
      assert.doesNotMatch(JSON.stringify(failure), /secret|\.ts/);
      const line = server.log.find(({ error_id: id }) => id === failure.metadata["error_id"]);
      assert.equal(line?.["rpc"], "/spool.v1.TaskService/GetTask");
      assert.match(JSON.stringify(line), /outer secret.*inner secret/);
    });

    it("ends with an internal error if a response cannot be encoded", async () => {
      await using server = await TestServer.open({
        async getTask() {
          return create(GetTaskResponseSchema, { task: { attempt: 0.5 } });
        },
      });
      assert.equal((await failureOf(server.client.unary(getTask, {}))).reason, "INTERNAL");
    });

    it("fires the signal at the caller's deadline", async () => {
      const fired = Promise.withResolvers<unknown>();
      await using server = await TestServer.open({
        async getTask(_request, { signal }) {
          fired.resolve(await aborted(signal));
          throw signal.reason;
        },
      });
      // A client of grpc-js cancels at its deadline too, and may be the first. This one only sends the timeout.
      const session = connect(`http://127.0.0.1:${server.port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/spool.v1.TaskService/GetTask",
        "content-type": "application/grpc",
        "grpc-timeout": "50m",
        te: "trailers",
      });
      stream.end(Buffer.alloc(5)); // An empty message.
      const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
      assert.equal(Number(answer["grpc-status"]), Code.DeadlineExceeded);
      assert.equal(((await fired.promise) as SpoolError).reason, "CALL_DEADLINE_EXCEEDED");
      session.destroy();
      assert.deepEqual(server.log, []);
    });

    it("fires the signal when the caller cancels", async () => {
      const caller = new AbortController();
      const fired = Promise.withResolvers<unknown>();
      await using server = await TestServer.open({
        async getTask(_request, { signal }) {
          caller.abort();
          fired.resolve(await aborted(signal));
          throw signal.reason;
        },
      });
      const failure = await failureOf(server.client.unary(getTask, {}, { signal: caller.signal }));
      assert.equal(failure.code, Code.Canceled);
      assert.equal(((await fired.promise) as SpoolError).reason, "CALL_CANCELLED");
      assert.deepEqual(server.log, []);
    });
  });

  describe("of an invalid request", () => {
    const INVALID_UTF8: [name: string, bytes: number[]][] = [
      ["a field", [0x0a, 2, 0x61, 0xff]],
      ["a long field", [0x0a, 64, ...Buffer.from("a".repeat(63)), 0xff]],
      ["an overlong form", [0x0a, 2, 0xc0, 0x80]],
      ["a surrogate", [0x0a, 3, 0xed, 0xa0, 0x80]],
      ["the key of a label", [0x22, 5, 0x0a, 1, 0xff, 0x12, 0]],
      ["the value of a label", [0x22, 6, 0x0a, 1, 0x61, 0x12, 1, 0xff]],
      ["a key of the params", [0x12, 5, 0x0a, 3, 0x0a, 1, 0xff]],
      ["a string in the params", [0x12, 10, 0x0a, 8, 0x0a, 1, 0x61, 0x12, 3, 0x1a, 1, 0xff]],
    ];
    for (const [name, bytes] of INVALID_UTF8) {
      it(`rejects ${name} that is not UTF-8`, async () => {
        await using server = await TestServer.open({ startTask: never });
        const failure = await failureOf(server.client.unary(startTask, Buffer.from(bytes)));
        assert.deepEqual([failure.code, failure.reason], [Code.InvalidArgument, "INVALID_ARGUMENT"]);
        assert.match(failure.message, /UTF-8/);
      });
    }

    const MALFORMED: [name: string, bytes: Buffer][] = [
      ["is truncated", Buffer.of(0x0a, 5, 0x61)],
      ["is not protobuf", Buffer.of(0xff, 0xff, 0xff)],
      ["nests too deep", nested(60)],
    ];
    for (const [name, bytes] of MALFORMED) {
      it(`rejects a request that ${name}`, async () => {
        await using server = await TestServer.open({ startTask: never });
        const failure = await failureOf(server.client.unary(startTask, bytes));
        assert.deepEqual([failure.code, failure.reason], [Code.InvalidArgument, "INVALID_ARGUMENT"]);
        assert.deepEqual(server.log, []);
      });
    }

    /** StartTaskRequest.params as lists in lists. */
    function nested(depth: number): Buffer {
      let value = Buffer.of(0x08, 0);
      const field = (tag: number, bytes: Buffer) => {
        const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
        return Buffer.concat([Buffer.of(tag, ...length), bytes]);
      };
      for (let level = 0; level < depth; level++) value = field(0x32, field(0x0a, value));
      return field(0x12, field(0x0a, Buffer.concat([field(0x0a, Buffer.from("a")), field(0x12, value)])));
    }
  });

  describe("when the server drains", () => {
    it("ends streams and waits with DRAINING and refuses later calls", async () => {
      const opened = Promise.withResolvers<void>();
      await using server = await TestServer.open({
        async *streamEvents(_request, { signal }) {
          yield frame(1);
          await aborted(signal);
          throw signal.reason;
        },
        async getTask(_request, { signal }) {
          opened.resolve();
          await aborted(signal);
          throw signal.reason;
        },
      });
      const stream = server.client.stream(streamEvents, {});
      const unary = failureOf(server.client.unary(getTask, {}));
      await Promise.all([once(stream, "data"), opened.promise]);
      const streaming = failureOf(stream);
      server.drain.begin();
      for (const failure of [await streaming, await unary, await failureOf(server.client.unary(startTask, {}))]) {
        assert.deepEqual([failure.code, failure.reason, failure.retryMs], [Code.Unavailable, "DRAINING", 1_000]);
      }
    });

    it("lets a call finish that ignores its signal", async () => {
      const opened = Promise.withResolvers<void>();
      const finish = Promise.withResolvers<void>();
      await using server = await TestServer.open({
        async startTask() {
          opened.resolve();
          await finish.promise;
          return create(StartTaskResponseSchema, { alreadyStarted: true });
        },
      });
      const answer = server.client.unary(startTask, {});
      await opened.promise;
      server.drain.begin();
      finish.resolve();
      assert.equal((await answer).alreadyStarted, true);
    });

    it("sends a pending frame before the error", async () => {
      const drained = Promise.withResolvers<void>();
      const opened = Promise.withResolvers<void>();
      await using server = await TestServer.open({
        async *streamEvents(_request, { signal }) {
          opened.resolve();
          await drained.promise;
          yield frame(1);
          throw signal.reason;
        },
      });
      const stream = server.client.stream(streamEvents, {});
      const reader = stream[Symbol.asyncIterator]();
      const first = reader.next();
      await opened.promise;
      server.drain.begin();
      drained.resolve();
      assert.equal((await first).value!.events[0]!.seq, 1n);
      assert.equal((await failureOf(reader.next())).reason, "DRAINING");
    });
  });
});
