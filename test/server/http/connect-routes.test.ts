import assert from "node:assert/strict";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import { CALL_TIMEOUT_MS_MAX, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TaskEngine } from "../../../src/engine/api/task-engine.ts";
import {
  GetTaskRequestSchema,
  GetTaskResponseSchema,
  StreamEventsRequestSchema,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { tapeEvent } from "../../codec/arbitrary-events.ts";
import { aLogEvent, aPage, aTask, TASK_ID } from "../../rpc/fake-engine.ts";
import { eventually } from "../../support/eventually.ts";
import { clientOf, openTestListener, PROTOCOLS, refusalOf } from "./open-http-listener.ts";

const SOME_TASK: Partial<TaskEngine> = {
  async getTask(taskId) {
    return aTask({ taskId });
  },
};

/** JSON as JavaScript writes it has no -0. */
const writable = tapeEvent.filter(({ body }) => !/[:[,]-0(?![.\d])/.test(body));

describe("the HTTP endpoint", () => {
  for (const type of ["connect+json", "connect+proto", "grpc-web+proto"]) {
    it(`buffers no more for a stopped reader than its connection holds (${type})`, async () => {
      const FRAMES_MAX = 400; // 100 MiB, of which a connection holds a few.
      let frames = 0;
      let isLeft = false;
      await using server = await openTestListener({
        async *followTape(_query, signal) {
          try {
            for (frames = 1; frames < FRAMES_MAX && !signal.aborted; frames++) {
              yield aPage([aLogEvent(frames, "x".repeat(FRAME_BYTES_MAX - 1_024))]);
            }
          } finally {
            isLeft = true;
          }
        },
      });
      const request = create(StreamEventsRequestSchema, { taskId: TASK_ID });
      const message = type.endsWith("json")
        ? Buffer.from(toJsonString(StreamEventsRequestSchema, request))
        : Buffer.from(toBinary(StreamEventsRequestSchema, request));
      const reader = connect(server.endpoint.port, "127.0.0.1").pause();
      reader.write(
        `POST /spool.v1.TaskService/StreamEvents HTTP/1.1\r\nhost: localhost\r\n` +
          `content-type: application/${type}\r\ncontent-length: ${message.length + 5}\r\n\r\n`,
      );
      reader.write(enveloped(message));
      await settled(() => frames);
      assert.ok(frames > 1 && frames < FRAMES_MAX / 2, `${frames} frames`);
      assert.equal(isLeft, false);
      reader.destroy();
      await eventually(() => assert.ok(isLeft));
    });
  }

  it("returns the same tape as JSON and as protobuf for any events", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(writable, { minLength: 1, maxLength: 20 }), async (events) => {
        await using server = await openTestListener({
          readEvents: async () => aPage(events, { nextFromSeq: 1n }),
          async *followTape() {
            yield aPage(events, { nextFromSeq: 1n });
          },
        });
        const [asJson, asBinary, ...others] = await Promise.all(
          PROTOCOLS.map(async ([, transport]) => {
            const client = clientOf(server, transport);
            const page = await client.getEvents({ taskId: TASK_ID });
            const frames = await Array.fromAsync(client.streamEvents({ taskId: TASK_ID }));
            return { page, events: frames.flatMap((frame) => frame.events) };
          }),
        );
        assert.equal(asJson!.events.length, events.length);
        for (const other of [asBinary, ...others]) assert.deepEqual(other, asJson);
      }),
      { numRuns: 25 },
    );
  });

  it("names what cannot be decoded in a request", async () => {
    await using server = await openTestListener({});
    const call = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
      fetch(`${server.url}/spool.v1.TaskService/StartTask`, {
        method: "POST",
        headers: { "content-type": type },
        body,
      });
    const deep = `{"kind":"echo","params":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`;
    for (const [body, type, message] of [
      ['{"kind":', "application/json", /JSON/],
      ['{"kind":"echo","colour":"red"}', "application/json", /"colour"/],
      ['{"kind":7}', "application/json", /kind/],
      ["[]", "application/json", /StartTaskRequest/],
      [deep, "application/json", /depth/],
      [Buffer.from('{"kind":"\xff"}', "latin1"), "application/json", /utf-8/],
      [Buffer.of(0x0a, 2, 0xff, 0xfe), "application/proto", /utf-8/],
      [Buffer.of(0x0a, 9, 0x61), "application/proto", /cannot be decoded/],
    ] as const) {
      const refusal = await refusalOf(await call(body, type));
      assert.deepEqual([refusal.status, refusal.code, refusal.reason], [400, "invalid_argument", "INVALID_ARGUMENT"]);
      assert.match(refusal.message, message);
    }
    assert.deepEqual(server.lines, []);
  });

  it("reports a response that cannot be encoded as an internal error", async () => {
    await using server = await openTestListener({ getTask: async () => aTask({ attempt: 2 ** 40 }) });
    const message = Buffer.from(toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, { taskId: TASK_ID })));
    const path = `${server.url}/spool.v1.TaskService/GetTask`;
    const headers = { "content-type": "application/proto" };
    const refusal = await refusalOf(await fetch(path, { method: "POST", headers, body: message }));
    assert.deepEqual([refusal.status, refusal.code, refusal.reason], [500, "internal", "INTERNAL"]);
    assert.doesNotMatch(refusal.message, /int32/);
    assert.match(server.lines.join(), /invalid int32/);
  });

  it("reports the same error in every protocol", async () => {
    await using server = await openTestListener({});
    for (const [type, method] of [
      ["application/connect+json", "StreamEvents"],
      ["application/grpc-web+json", "StreamEvents"],
      ["application/grpc-web+json", "GetTask"],
    ] as const) {
      const response = await fetch(`${server.url}/spool.v1.TaskService/${method}`, {
        method: "POST",
        headers: { "content-type": type },
        body: enveloped('{"colour":"red"}'),
      });
      const text = decodeURIComponent(await response.text());
      assert.match(text, /colour/);
      assert.match(text, type.includes("connect") ? /"INVALID_ARGUMENT"/ : /grpc-status: 3\r\n/);
      if (!type.includes("connect")) assert.ok(bytesOfStatus(text).includes("INVALID_ARGUMENT"));
    }
  });

  it("explains the correct method and content type to a wrong call", async () => {
    await using server = await openTestListener({});
    const path = `${server.url}/spool.v1.TaskService`;
    const form = await refusalOf(
      await fetch(`${path}/StartTask`, { method: "POST", body: new URLSearchParams("a=b") }),
    );
    assert.deepEqual([form.status, form.reason], [415, "INVALID_ARGUMENT"]);
    assert.match(form.message, /application\/json/);
    for (const [method, allow] of [
      ["StartTask", "POST"],
      ["StreamEvents", "POST"],
      ["GetTask", "GET, POST"],
    ] as const) {
      const response = await fetch(`${path}/${method}`, { method: "PUT" });
      assert.deepEqual([response.status, response.headers.get("allow")], [405, allow]);
    }
    assert.equal((await fetch(`${path}/StartTask?encoding=json&message={}`)).status, 405);
    const work = await refusalOf(await fetch(`${server.url}/spool.v1.WorkerService/Work`, { method: "POST" }));
    assert.deepEqual([work.status, work.code], [404, "unimplemented"]);
    assert.match(work.message, /gRPC/);
  });

  it("accepts calls without side effects by GET, as JSON and as base64", async () => {
    await using server = await openTestListener(SOME_TASK);
    const get = (query: string) => fetch(`${server.url}/spool.v1.TaskService/GetTask?${query}`);
    const json = encodeURIComponent(JSON.stringify({ task_id: TASK_ID }));
    const answer = (await (await get(`encoding=json&message=${json}`)).json()) as { task: { taskId: string } };
    assert.equal(answer.task.taskId, TASK_ID);
    assert.equal((await get(`encoding=json&message=${json}`)).headers.get("cache-control"), "no-store");
    const message = Buffer.from(toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, { taskId: TASK_ID })));
    const proto = await get(`connect=v1&encoding=proto&base64=1&message=${message.toString("base64url")}`);
    assert.equal(fromBinary(GetTaskResponseSchema, await proto.bytes()).task!.taskId, TASK_ID);
    for (const [query, fields] of [
      ["", ["encoding", "message"]],
      ["encoding=xml&message={}", ["encoding"]],
      ["encoding=json", ["message"]],
      ["encoding=proto&base64=1&message=!", ["message"]],
      ["encoding=json&message=%ff", []],
    ] as const) {
      const refusal = await refusalOf(await get(query));
      assert.deepEqual([refusal.status, refusal.reason, refusal.fields], [400, "INVALID_ARGUMENT", fields], query);
    }
  });

  it("accepts a request of 4 MiB and refuses a larger one, also if compressed", async () => {
    await using server = await openTestListener({});
    const request = (bytes: number) => Buffer.from(JSON.stringify({ kind: "k".repeat(bytes - '{"kind":""}'.length) }));
    for (const encoding of ["identity", "gzip"]) {
      const send = async (bytes: number) =>
        refusalOf(
          await fetch(`${server.url}/spool.v1.TaskService/StartTask`, {
            method: "POST",
            headers: { "content-type": "application/json", "content-encoding": encoding },
            body: encoding === "gzip" ? gzipSync(request(bytes)) : request(bytes),
          }),
        );
      assert.deepEqual((await send(MESSAGE_BYTES_MAX)).fields, ["kind"]);
      const larger = await send(MESSAGE_BYTES_MAX + 1);
      assert.deepEqual([larger.code, larger.reason], ["invalid_argument", "INVALID_ARGUMENT"]);
      assert.match(larger.message, /4,194,304 bytes/);
    }
  });

  it("ignores a timeout past the limit of timers", async () => {
    await using server = await openTestListener({
      async waitForResult(_query, signal) {
        assert.equal(signal.aborted, false);
        await setImmediate();
        signal.throwIfAborted();
        throw new TaskNotFound(TASK_ID);
      },
    });
    const call = (headers: Record<string, string>) => server.call("GetResult", { taskId: TASK_ID }, headers);
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    for (const ms of [CALL_TIMEOUT_MS_MAX, CALL_TIMEOUT_MS_MAX + 1, 9_999_999_999]) {
      assert.equal((await refusalOf(await call({ "connect-timeout-ms": `${ms}` }))).reason, "TASK_NOT_FOUND");
    }
    for (const timeout of ["99999999m", "597H", "99999999H"]) {
      const headers = { "grpc-timeout": timeout, "content-type": "application/grpc-web+json" };
      const body = enveloped(JSON.stringify({ taskId: TASK_ID }));
      const path = `${server.url}/spool.v1.TaskService/GetResult`;
      const answer = await (await fetch(path, { method: "POST", headers, body })).text();
      assert.match(answer, /grpc-status: 5\r\n/, timeout);
    }
    process.off("warning", onWarning);
    assert.deepEqual(warnings, []);
    const none = await refusalOf(await call({ "connect-timeout-ms": "soon" }));
    assert.deepEqual([none.status, none.reason], [400, "INVALID_ARGUMENT"]);
  });

  it("compresses a response in an encoding that the caller accepts", async () => {
    await using server = await openTestListener({
      getTask: async () => aTask({ labels: { text: "x".repeat(4_096) } }),
    });
    for (const [encoding, decompress] of [
      ["gzip", gunzipSync],
      ["br", brotliDecompressSync],
    ] as const) {
      const bytes = await bytesOf(server.endpoint.port, `accept-encoding: ${encoding}`, { taskId: TASK_ID });
      const [head, body] = cut(bytes);
      assert.match(head, new RegExp(`content-encoding: ${encoding}`, "i"));
      assert.ok(body.length < 1_024);
      const answer = JSON.parse(decompress(body).toString()) as { task: { labels: { text: string } } };
      assert.equal(answer.task.labels.text.length, 4_096);
    }
  });
});

/** Resolves when a count has begun, and has stayed the same from one look to the next. */
async function settled(count: () => number): Promise<void> {
  let before = 0;
  await eventually(() => {
    const now = count();
    const isSame = now > 0 && now === before;
    before = now;
    assert.ok(isSame);
  });
}

/** What comes back for a call with a header that fetch would not send as it is. */
async function bytesOf(port: number, header: string, message: object): Promise<Buffer> {
  const body = JSON.stringify(message);
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `POST /spool.v1.TaskService/GetTask HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${header}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return Buffer.concat((await socket.toArray()) as Buffer[]);
}

function cut(answer: Buffer): [head: string, body: Buffer] {
  const end = answer.indexOf("\r\n\r\n");
  return [answer.subarray(0, end).toString(), answer.subarray(end + 4)];
}

function bytesOfStatus(trailers: string): Buffer {
  return Buffer.from(/grpc-status-details-bin: (\S+)/.exec(trailers)![1]!, "base64");
}

/** A message as streams and gRPC-Web have it. @param message shorter than 256 bytes */
function enveloped(message: string | Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), Buffer.from(message)]);
}
