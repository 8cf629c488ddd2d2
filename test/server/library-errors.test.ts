import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { pino } from "pino";
import { MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX } from "../../src/domain/limits.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { GetTaskRequestSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { fakeEngine, SOME_TASK, TASK_ID } from "../rpc/fake-engine.ts";
import { openTestListener, refusalOf } from "./http/open-http-listener.ts";
import { admission, oneEngine } from "../support/one-engine.ts";

// What grpc-js, Node and Connect refuse by themselves, sent over bare connections.

const SERVICE = "/spool.v1.TaskService";
const MESSAGE = Buffer.from(toBinary(GetTaskRequestSchema, create(GetTaskRequestSchema, { taskId: TASK_ID })));

/** A message as gRPC frames it. */
function framed(message: Buffer, { isCompressed = false, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = Number(isCompressed);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

async function openGrpc(token?: string) {
  const lines: string[] = [];
  const log = pino({ level: "trace" }, { write: (line) => lines.push(line) });
  const endpoint = await openGrpcListener({
    engines: oneEngine(fakeEngine(SOME_TASK)),
    host: "127.0.0.1",
    port: 0,
    ...admission(token),
    log,
  });
  const session = connectHttp2(`http://127.0.0.1:${endpoint.port}`);
  session.on("error", () => {});
  return {
    session,
    lines,
    async [Symbol.asyncDispose]() {
      session.destroy();
      await endpoint.close({ graceMs: 0 });
    },
  };
}

/** What a call ends with: its status, and what is told of its error. */
async function call(session: ClientHttp2Session, body: Buffer, headers: Record<string, string> = {}) {
  const stream = session.request({
    ":method": "POST",
    ":path": `${SERVICE}/GetTask`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => {});
  stream.end(body);
  let found: Record<string, string> = {};
  stream.on("response", (received) => (found = { ...found, ...(received as Record<string, string>) }));
  stream.on("trailers", (received) => (found = { ...found, ...(received as Record<string, string>) }));
  await once(stream.resume(), "close");
  const bytes = Buffer.from(found["grpc-status-details-bin"] ?? "", "base64");
  const { details } = fromBinary(StatusSchema, bytes);
  const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((detail) => detail !== undefined);
  const retry = details.map((any) => anyUnpack(any, RetryInfoSchema)).find((detail) => detail !== undefined);
  return {
    http: found[":status"],
    code: Number(found["grpc-status"]),
    message: decodeURI(found["grpc-message"] ?? ""),
    reason: info?.domain === "spool" ? info.reason : undefined,
    hasRetry: retry !== undefined,
  };
}

describe("an error of grpc-js", () => {
  const CASES: [name: string, body: Buffer, headers: Record<string, string>, code: Code, message: RegExp][] = [
    ["a path that nothing is served at", framed(MESSAGE), { ":path": "/no" }, Code.Unimplemented, /\/no/],
    ["an unknown method", framed(MESSAGE), { ":path": `${SERVICE}/No` }, Code.Unimplemented, /TaskService\/No/],
    ["another content type", MESSAGE, { "content-type": "text/plain" }, Code.InvalidArgument, /content-type/],
    ["gRPC-Web", framed(MESSAGE), { "content-type": "application/grpc-web" }, Code.InvalidArgument, /content-type/],
    [
      "a message of 5 MB",
      framed(Buffer.alloc(5_000_000)),
      { ":path": `${SERVICE}/StartTask` },
      Code.InvalidArgument,
      /at most 4,194,304 bytes/,
    ],
    [
      "a message larger than its method takes",
      framed(Buffer.alloc(REQUEST_BYTES_MAX + 1)),
      {},
      Code.InvalidArgument,
      /at most 16,384/,
    ],
    [
      "a message that is too large when it is decompressed",
      framed(gzipSync(Buffer.alloc(MESSAGE_BYTES_MAX + 1)), { isCompressed: true }),
      { "grpc-encoding": "gzip" },
      Code.InvalidArgument,
      /at most/,
    ],
    [
      "an unknown compression",
      framed(MESSAGE, { isCompressed: true }),
      { "grpc-encoding": "zstd" },
      Code.Unimplemented,
      /grpc-encoding: must be one of .* not "zstd"/,
    ],
    [
      "a message that is not what its compression says",
      framed(Buffer.from("no gzip"), { isCompressed: true }),
      { "grpc-encoding": "gzip" },
      Code.InvalidArgument,
      /grpc-encoding/,
    ],
    [
      "a compressed message that is cut short",
      framed(gzipSync(MESSAGE).subarray(0, 20), { isCompressed: true }),
      { "grpc-encoding": "gzip" },
      Code.InvalidArgument,
      /grpc-encoding/,
    ],
    ["a message that is cut short", framed(MESSAGE, { length: 100 }), {}, Code.InvalidArgument, /one message/],
    ["no message", Buffer.alloc(0), {}, Code.InvalidArgument, /one message/],
    ["two messages", Buffer.concat([framed(MESSAGE), framed(MESSAGE)]), {}, Code.InvalidArgument, /one message/],
    ["a timeout that is none", framed(MESSAGE), { "grpc-timeout": "soon" }, Code.InvalidArgument, /grpc-timeout/],
    ["a timeout without a unit", framed(MESSAGE), { "grpc-timeout": "5" }, Code.InvalidArgument, /grpc-timeout/],
    ["text that is not UTF-8", framed(Buffer.of(0x0a, 2, 0xff, 0xfe)), {}, Code.InvalidArgument, /UTF-8/],
    ["bytes that are no message", framed(Buffer.of(0x0a, 9, 0x61)), {}, Code.InvalidArgument, /GetTaskRequest/],
  ];
  for (const [name, body, headers, code, message] of CASES) {
    it(`carries a reason and what is wrong: ${name}`, async () => {
      await using server = await openGrpc();
      const failure = await call(server.session, body, headers);
      assert.deepEqual(
        [failure.code, failure.reason, failure.hasRetry],
        [code, code === Code.Unimplemented ? "UNIMPLEMENTED" : "INVALID_ARGUMENT", false],
        failure.message,
      );
      assert.match(failure.message, message);
      assert.equal((await call(server.session, framed(MESSAGE))).code, 0); // The connection goes on.
    });
  }

  it("has a reason when the deadline of a call has passed", async () => {
    await using server = await openGrpc();
    const late = await call(server.session, framed(MESSAGE), {
      ":path": `${SERVICE}/StreamEvents`,
      "grpc-timeout": "20m",
    });
    assert.deepEqual([late.code, late.reason], [Code.DeadlineExceeded, "CALL_DEADLINE_EXCEEDED"]);
  });

  it("does not occur for metadata of 48 KiB", async () => {
    await using server = await openGrpc();
    assert.equal((await call(server.session, framed(MESSAGE), { "x-large": "x".repeat(48 * 1_024) })).code, 0);
  });

  it("does not keep a call open after its response, even if the request is incomplete", async () => {
    await using server = await openGrpc("a-token");
    const stream = server.session.request({
      ":method": "POST",
      ":path": `${SERVICE}/GetTask`,
      "content-type": "application/grpc",
    });
    stream.write(Buffer.of(0, 0)); // And no more of it.
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    assert.equal(Number(headers["grpc-status"]), Code.Unauthenticated);
    await once(stream.resume(), "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });

  it("never writes the value of an invalid header to the log or standard error", async () => {
    await using server = await openGrpc("a-token-of-its-own");
    const written: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    try {
      const refused = await call(server.session, framed(MESSAGE), { authorization: "Bearer\ta-token-of-its-own" });
      assert.equal(refused.code, Code.Unauthenticated);
      await call(server.session, framed(MESSAGE), { "x-a": 'inject\t{"level":"fatal"}' });
    } finally {
      process.stderr.write = write;
    }
    assert.deepEqual(written, []);
    assert.doesNotMatch(server.lines.join(), /a-token-of-its-own|inject/);
    assert.match(server.lines.join(), /"header":"authorization"/);
  });
});

describe("an error of Connect", () => {
  const CASES: [name: string, path: string, init: RequestInit, code: string, message: RegExp][] = [
    ["an unknown method", `${SERVICE}/No`, { body: "{}" }, "unimplemented", /No/],
    [
      "a body compressed in an unknown way",
      `${SERVICE}/GetTask`,
      { body: "{}", headers: { "content-encoding": "zstd" } },
      "unimplemented",
      /content-encoding/,
    ],
    [
      "a body that is not what its compression says",
      `${SERVICE}/GetTask`,
      { body: "{}", headers: { "content-encoding": "gzip" } },
      "invalid_argument",
      /content-encoding/,
    ],
    [
      "a body of 5 MB",
      `${SERVICE}/StartTask`,
      { body: "x".repeat(5_000_000) },
      "invalid_argument",
      /at most 4,194,304 bytes/,
    ],
    [
      "a body larger than its method takes",
      `${SERVICE}/GetTask`,
      { body: " ".repeat(REQUEST_BYTES_MAX + 1) },
      "invalid_argument",
      /at most 16,384 bytes/,
    ],
    [
      "gRPC-Web as text",
      `${SERVICE}/GetTask`,
      { body: "", headers: { "content-type": "application/grpc-web-text" } },
      "invalid_argument",
      /content-type/,
    ],
    [
      "a timeout that is none",
      `${SERVICE}/GetTask`,
      { body: "{}", headers: { "connect-timeout-ms": "soon" } },
      "invalid_argument",
      /timeout/,
    ],
  ];
  for (const [name, path, init, code, message] of CASES) {
    it(`carries a reason and what is wrong: ${name}`, async () => {
      await using server = await openTestListener(SOME_TASK);
      const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
      const refusal = await refusalOf(await fetch(`${server.url}${path}`, { method: "POST", ...init, headers }));
      assert.deepEqual([refusal.code, refusal.reason], [code, code.toUpperCase()]);
      assert.match(refusal.message, message);
    });
  }

  const ENVELOPES: [name: string, body: Buffer, headers: Record<string, string>, code: string][] = [
    ["that is cut short", framed(Buffer.from("{}"), { length: 100 }), {}, "INVALID_ARGUMENT"],
    ["that is not there", Buffer.alloc(0), {}, "INVALID_ARGUMENT"],
    ["beside another", Buffer.concat([framed(Buffer.from("{}")), framed(Buffer.from("{}"))]), {}, "INVALID_ARGUMENT"],
    ["that is too large", framed(Buffer.alloc(REQUEST_BYTES_MAX + 1)), {}, "INVALID_ARGUMENT"],
    [
      "compressed in an unknown way",
      framed(Buffer.from("{}"), { isCompressed: true }),
      { "connect-content-encoding": "zstd", "grpc-encoding": "zstd" },
      "UNIMPLEMENTED",
    ],
    [
      "that is not what its compression says",
      framed(Buffer.from("{}"), { isCompressed: true }),
      { "connect-content-encoding": "gzip", "grpc-encoding": "gzip" },
      "INVALID_ARGUMENT",
    ],
  ];
  for (const [name, body, headers, reason] of ENVELOPES) {
    it(`carries a reason for a message ${name}`, async () => {
      await using server = await openTestListener(SOME_TASK);
      for (const type of ["application/connect+json", "application/grpc-web+json"]) {
        const response = await fetch(`${server.url}${SERVICE}/StreamEvents`, {
          method: "POST",
          headers: { "content-type": type, ...headers },
          body: new Uint8Array(body),
        });
        const text = await response.text();
        const details = /grpc-status-details-bin: (\S+)/.exec(text)?.[1] ?? "";
        assert.ok(`${text}${Buffer.from(details, "base64").toString()}`.includes(reason), text);
      }
    });
  }
});
