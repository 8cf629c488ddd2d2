import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { pino } from "pino";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { fakeEngine, SOME_TASK, TASK_ID } from "../rpc/fake-engine.ts";
import { oneEngine } from "../support/one-engine.ts";
import { openTestListener, refusalOf } from "./http/open-http-listener.ts";

describe("a call that has ended before the server reads its request", () => {
  it("gets an answer over gRPC if the request has no bytes, however many such calls come at once", async () => {
    const log = pino({ level: "silent" });
    const endpoint = await openGrpcListener({
      engines: oneEngine(fakeEngine(SOME_TASK)),
      host: "127.0.0.1",
      port: 0,
      log,
    });
    const session = connect(`http://127.0.0.1:${endpoint.port}`);
    const call = async (method: string, endStream: boolean) => {
      const headers = {
        ":method": "POST",
        ":path": `/spool.v1.${method}`,
        "content-type": "application/grpc",
        te: "trailers",
      };
      const stream = session.request(headers, { endStream });
      if (!endStream) stream.end();
      stream.resume();
      const [response] = (await once(stream, "response")) as [IncomingHttpHeaders];
      return `${method} ${String(response["grpc-status"])}`;
    };
    const methods = ["TaskService/GetTask", "TaskService/StreamEvents", "WorkerService/Work"];
    const calls = Array.from({ length: 50 }, (_, index) => methods.map((method) => call(method, index % 2 === 0)));
    const answers = await Promise.all(calls.flat());
    assert.deepEqual([...new Set(answers)].toSorted(), [
      "TaskService/GetTask 3",
      "TaskService/StreamEvents 3",
      "WorkerService/Work 9",
    ]);
    session.destroy();
    await endpoint.close({ graceMs: 0 });
  });

  it("gets a reason over HTTP if its deadline has passed, even if the request cannot be decoded", async () => {
    await using server = await openTestListener(SOME_TASK);
    for (const body of [{ taskId: TASK_ID }, { taskId: true }, { unknown: 1 }]) {
      const refusal = await refusalOf(await server.call("GetTask", body, { "connect-timeout-ms": "0" }));
      assert.deepEqual([refusal.code, refusal.reason], ["deadline_exceeded", "CALL_DEADLINE_EXCEEDED"]);
    }
  });
});
