import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { StreamEventsRequestSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { aLogEvent, aPage, fakeEngine, TASK_ID } from "../rpc/fake-engine.ts";
import { oneEngine } from "../support/one-engine.ts";

const REQUEST = Buffer.from(
  toBinary(StreamEventsRequestSchema, create(StreamEventsRequestSchema, { taskId: TASK_ID })),
);

describe("a connection that breaks in the middle of a message", () => {
  it("is not logged as an error", async () => {
    const left = Promise.withResolvers<void>();
    const engine = fakeEngine({
      async *followTape(_query, signal) {
        signal.addEventListener("abort", () => left.resolve());
        for (let seq = 1; !signal.aborted; seq++) {
          yield aPage([aLogEvent(seq, "x".repeat(100_000))]);
          await setImmediate();
        }
      },
    });
    const lines: string[] = [];
    const log = pino({ level: "error" }, { write: (line) => lines.push(line) });
    const endpoint = await openGrpcListener({ engines: oneEngine(engine), host: "127.0.0.1", port: 0, log });
    const socket = connect(endpoint.port, "127.0.0.1");
    const session = connectHttp2(`http://127.0.0.1:${endpoint.port}`, { createConnection: () => socket });
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/spool.v1.TaskService/StreamEvents",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    const head = Buffer.alloc(5);
    head.writeUInt32BE(REQUEST.length, 1);
    stream.end(Buffer.concat([head, REQUEST]));
    await once(stream, "data"); // Nobody reads on: what is written next waits for room.
    socket.resetAndDestroy();
    await left.promise;
    await setImmediate();
    await endpoint.close({ graceMs: 0 });
    assert.deepEqual(lines, []);
  });
});
