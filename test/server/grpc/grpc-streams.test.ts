import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import type { SpoolError } from "../../../src/domain/errors.ts";
import { MESSAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import {
  GetTaskRequestSchema,
  GetTaskResponseSchema,
  StreamEventsRequestSchema,
  TaskService,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { eventually } from "../../support/eventually.ts";
import { failureOf } from "../../rpc/raw-client.ts";
import { aborted, frame, TestServer, WRITE_AHEAD_MAX } from "../../rpc/test-server.ts";

const { getTask, streamEvents } = TaskService.method;

describe("a stream over the gRPC binding", () => {
  it("sends every frame in order and then OK", async () => {
    await using server = await TestServer.open({
      async *streamEvents() {
        for (let number = 1; number <= 1_000; number++) yield frame(number);
      },
    });
    const seen = await Array.fromAsync(server.client.stream(streamEvents, {}));
    assert.deepEqual(
      seen.map(({ events }) => events[0]!.seq),
      Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1)),
    );
  });

  it("sends the frames before an error and then its status", async () => {
    await using server = await TestServer.open({
      async *streamEvents({ taskId }) {
        yield frame(1);
        yield frame(2);
        throw new TaskNotFound(taskId);
      },
    });
    const seen: bigint[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const { events } of server.client.stream(streamEvents, { taskId: "t" })) seen.push(events[0]!.seq);
      })(),
    );
    assert.deepEqual(seen, [1n, 2n]);
    assert.deepEqual(
      [failure.code, failure.reason, failure.metadata],
      [Code.NotFound, "TASK_NOT_FOUND", { task_id: "t" }],
    );
  });

  it("hides an unknown error in the middle of a stream", async () => {
    await using server = await TestServer.open({
      async *streamEvents() {
        yield frame(1);
        throw new Error("a secret");
      },
    });
    const failure = await failureOf(server.client.stream(streamEvents, {}));
    assert.equal(failure.reason, "INTERNAL");
    assert.doesNotMatch(JSON.stringify(failure), /secret/);
    assert.equal(server.log.length, 1);
  });

  it("reads no further than its reader has room for, and sends everything once the reader continues", async () => {
    const FRAMES = 100;
    const FRAME_BYTES = 256 * 1024;
    let pulled = 0;
    await using server = await TestServer.open({
      async *streamEvents() {
        for (let number = 1; number <= FRAMES; number++) {
          pulled = number;
          yield frame(number, FRAME_BYTES);
        }
      },
      async getTask() {
        return create(GetTaskResponseSchema);
      },
    });
    const stream = server.client.stream(streamEvents, {});
    const reader = stream[Symbol.asyncIterator]();
    assert.equal((await reader.next()).value!.events[0]!.seq, 1n);
    // The client itself reads up to sixteen messages ahead; past them only what is under way may be made.
    const aheadMax = 16 + Math.ceil(WRITE_AHEAD_MAX / FRAME_BYTES) + 3;
    for (let round = 0; round < 100; round++) await server.client.unary(getTask, {});
    assert.ok(pulled <= aheadMax, `pulled ${pulled} of ${FRAMES} frames for a reader of one`);
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => reader });
    assert.equal(rest.length, FRAMES - 1);
    assert.equal(rest.at(-1)!.events[0]!.seq, BigInt(FRAMES));
  });

  it("buffers less than one message for a reader that never reads", async () => {
    const FRAME_BYTES = 1024 * 1024;
    let pulled = 0;
    const closed = Promise.withResolvers<void>();
    await using server = await TestServer.open({
      async *streamEvents() {
        try {
          for (;;) yield frame(++pulled, FRAME_BYTES);
        } finally {
          closed.resolve();
        }
      },
      async getTask() {
        return create(GetTaskResponseSchema);
      },
    });
    // A bare HTTP/2 stream, whose window of 64 KiB nobody opens.
    const session = connect(`http://127.0.0.1:${server.port}`);
    const stream = openStream(session, "StreamEvents");
    stream.pause();
    stream.end(grpcFrame(toBinary(StreamEventsRequestSchema, create(StreamEventsRequestSchema))));
    await eventually(() => assert.ok(pulled > 0));
    for (let round = 0; round < 100; round++) await server.client.unary(getTask, {});
    assert.equal(pulled, 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await closed.promise;
    session.close();
  });

  it("returns the generator when the client disconnects while it waits for an event", async () => {
    const closed = Promise.withResolvers<unknown>();
    await using server = await TestServer.open({
      async *streamEvents(_request, { signal }) {
        try {
          yield frame(1);
          await aborted(signal);
          throw signal.reason;
        } finally {
          closed.resolve(signal.reason);
        }
      },
    });
    const stream = server.client.stream(streamEvents, {});
    await once(stream, "data");
    stream.cancel();
    assert.equal(((await closed.promise) as SpoolError).reason, "CALL_CANCELLED");
    assert.deepEqual(server.log, []);
  });

  it("returns the generator when the client disconnects from an endless stream", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await TestServer.open({
      async *streamEvents() {
        try {
          for (let number = 1; ; number++) yield frame(number, 1_000);
        } finally {
          closed.resolve();
        }
      },
    });
    const stream = server.client.stream(streamEvents, {});
    await once(stream, "data");
    stream.cancel();
    await closed.promise;
    assert.deepEqual(server.log, []);
  });

  it("returns the generator at the caller's deadline", async () => {
    const closed = Promise.withResolvers<unknown>();
    await using server = await TestServer.open({
      async *streamEvents(_request, { signal }) {
        try {
          yield frame(1);
          await aborted(signal);
        } finally {
          closed.resolve(signal.reason);
        }
      },
    });
    // Without a deadline at the client, which would cancel the call at about the same time.
    const metadata = { "grpc-timeout": "50m" };
    const failure = await failureOf(server.client.stream(streamEvents, {}, { metadata }));
    assert.equal(failure.code, Code.DeadlineExceeded);
    assert.equal(((await closed.promise) as SpoolError).reason, "CALL_DEADLINE_EXCEEDED");
  });

  it("returns the generator when a frame exceeds the message size", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await TestServer.open(
      {
        async *streamEvents() {
          try {
            yield frame(1, MESSAGE_BYTES_MAX + 1);
            yield frame(2);
          } finally {
            closed.resolve();
          }
        },
      },
      { "grpc.max_send_message_length": MESSAGE_BYTES_MAX },
    );
    const failure = await failureOf(server.client.stream(streamEvents, {}));
    assert.equal(failure.code, Code.ResourceExhausted);
    await closed.promise;
  });

  it("starts no handler for a call whose deadline passed before the client closed its side", async () => {
    let started = 0;
    await using server = await TestServer.open({
      async *streamEvents(_request, { signal }) {
        started++;
        yield frame(1);
        await aborted(signal);
      },
      async getTask() {
        return create(GetTaskResponseSchema);
      },
    });
    const session = connect(`http://127.0.0.1:${server.port}`);
    const stream = openStream(session, "StreamEvents", { "grpc-timeout": "20m" });
    stream.write(grpcFrame(toBinary(StreamEventsRequestSchema, create(StreamEventsRequestSchema))));
    const [headers] = (await once(stream, "response")) as [Record<string, string>];
    assert.equal(Number(headers["grpc-status"]), Code.DeadlineExceeded);
    stream.end();
    const unary = openStream(session, "GetTask"); // Behind it on the same connection.
    unary.end(grpcFrame(toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema))));
    await once(unary.resume(), "end");
    assert.equal(started, 0);
    session.close();
  });
});

function openStream(session: ReturnType<typeof connect>, method: string, headers: Record<string, string> = {}) {
  const stream = session.request(
    {
      ":method": "POST",
      ":path": `/spool.v1.TaskService/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    },
    { endStream: false },
  );
  stream.on("error", () => {});
  return stream;
}

/** A message as gRPC frames it: not compressed, its length, its bytes. */
function grpcFrame(bytes: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}
