import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import { RPC_CODES } from "../../src/codec/rpc-error.ts";
import { openGrpcTransport } from "../../src/client/transport/grpc-transport.ts";
import { readServiceError } from "../../src/client/transport/service-error.ts";
import { GetTaskResponseSchema, TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { failure, openWire, serveScript, TASK_ID, taskMessage } from "./scripted-server.ts";
import type { Script } from "./scripted-server.ts";

const TARGET = "127.0.0.1:50051";

describe("RPC_CODES", () => {
  it("lists the gRPC codes by number", () => {
    assert.deepEqual(
      RPC_CODES.map((name, number) => [name, number]),
      Object.entries(status).filter(([, number]) => typeof number === "number"),
    );
  });
});

describe("an error of a call", () => {
  it("has the code, reason, metadata, fields and retry hint of the server", async () => {
    const refusal = failure("RESOURCE_EXHAUSTED", "too much at once", {
      reason: "OVERLOADED",
      metadata: { what: "journal" },
      violations: [{ field: "params.count", description: "must be at most 5" }],
      retryAfterMs: 250,
    });
    const error = await failing({ getTask: () => Promise.reject(refusal) }, { retryMs: 0 });
    assert.ok(error instanceof SpoolRpcError);
    const { code, reason, metadata, violations, retryAfterMs, message } = error;
    assert.deepEqual(
      { code, reason, metadata, violations, retryAfterMs, message },
      {
        code: "RESOURCE_EXHAUSTED",
        reason: "OVERLOADED",
        metadata: { what: "journal" },
        violations: [{ field: "params.count", description: "must be at most 5" }],
        retryAfterMs: 250,
        message: "too much at once",
      },
    );
  });

  it("has no reason if the reason's domain is not spool", async () => {
    const refusal = failure("PERMISSION_DENIED", "no", { reason: "RBAC_DENIED", domain: "mesh.example" });
    const error = await failing({ getTask: () => Promise.reject(refusal) });
    assert.equal(error.code, "PERMISSION_DENIED");
    assert.equal(error.reason, undefined);
  });

  it("tells an INTERNAL answer of Spool from a broken stream", async () => {
    const answer = failure("INTERNAL", "something went wrong", { reason: "INTERNAL", metadata: { error_id: "x1" } });
    const error = await failing({ getTask: () => Promise.reject(answer) });
    assert.equal(error.code, "INTERNAL");
    assert.equal(error.metadata["error_id"], "x1");
    const reset = Object.assign(new Error(), { code: 13, details: "RST_STREAM", metadata: new Metadata() });
    assert.equal(readServiceError(reset, TARGET).code, "UNAVAILABLE");
  });

  it("is not hidden by malformed details", () => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from("\xff\xff\xff not a message"));
    const error = readServiceError(Object.assign(new Error(), { code: 5, details: "not found", metadata }), TARGET);
    assert.deepEqual([error.code, error.message, error.reason], ["NOT_FOUND", "not found", undefined]);
  });

  it("has a message and a code if the server sent no known ones", () => {
    const error = readServiceError(
      Object.assign(new Error(), { code: 99, details: "", metadata: new Metadata() }),
      TARGET,
    );
    assert.deepEqual([error.code, error.message], ["UNKNOWN", "the call failed with UNKNOWN"]);
  });

  it("is UNAVAILABLE if nothing listens at the address", async () => {
    const server = await serveScript({});
    await server.stop();
    using client = connect({ address: server.address, retryMs: 0 });
    await assert.rejects(client.get({ taskId: TASK_ID }), { name: "SpoolRpcError", code: "UNAVAILABLE" });
  });

  it("is UNAVAILABLE if no answer comes, and the next call gets a new connection", async () => {
    await using server = await serveScript({ getTask: () => ({ task: taskMessage() }) });
    await using wire = await openWire(server.port);
    const transport = openGrpcTransport(wire.address, credentials.createInsecure());
    using _closed = { [Symbol.dispose]: transport.close };
    const read = (bytes: Buffer) => fromBinary(GetTaskResponseSchema, bytes);
    const get = (timeoutMs: number) =>
      transport.unary(TaskService.method.getTask, { taskId: TASK_ID }, { timeoutMs, read });
    await get(5_000);
    wire.goSilent();
    await assert.rejects(get(100), { code: "UNAVAILABLE", message: /nothing came from .* for 100 ms/ });
    await get(5_000);
    assert.equal(wire.connections, 2);
  });

  it("is DATA_LOSS for a malformed answer", async () => {
    assert.equal((await failing({ getTask: () => ({}) })).code, "DATA_LOSS");
    assert.equal((await failing({ getTask: () => ({ task: taskMessage({ status: 9 as 1 }) }) })).code, "DATA_LOSS");
  });
});

async function failing(script: Script, { retryMs = 5_000 } = {}): Promise<SpoolRpcError> {
  await using server = await serveScript(script);
  using client = connect({ address: server.address, retryMs });
  return await client.get({ taskId: TASK_ID }).then(
    () => assert.fail("the call did not fail"),
    (error) => error,
  );
}
