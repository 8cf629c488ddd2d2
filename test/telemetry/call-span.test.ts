import assert from "node:assert/strict";
import { SpanStatusCode } from "@opentelemetry/api";
import { CallSpan } from "../../src/telemetry/call-span.ts";
import { traceHere } from "../support/traced-here.ts";

describe("the span of a call", () => {
  it("ends with an error of the server even if the thrown value cannot be read", () => {
    using traced = traceHere();
    const call = new CallSpan(
      { system: "grpc", method: "spool.v1.TaskService/GetTask", door: "grpc" },
      () => undefined,
    );
    const thrown = Object.defineProperty(new Error(), "message", {
      get: () => {
        throw new Error("no words");
      },
    });
    call.end("INTERNAL", thrown);
    assert.deepEqual(
      traced.spans().map(({ status, attributes, events }) => [status.code, attributes["error.type"], events]),
      [[SpanStatusCode.ERROR, "INTERNAL", []]],
    );
  });
});
