import assert from "node:assert/strict";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { StartRequest } from "../../src/client/client.ts";
import { JSON_DEPTH_MAX, PARAMS_WIRE_BYTES_MAX } from "../../src/domain/limits.ts";
import type { StartTaskRequest } from "../../src/gen/spool/v1/task_service_pb.ts";
import { failure, serveScript, T0, TASK_ID, taskMessage } from "./scripted-server.ts";

describe("a start", () => {
  it("sends the given fields", async () => {
    const { sent } = await starting({
      kind: "echo",
      params: { n: 1, deep: [null, { ü: "\u0000" }] },
      requestId: "mine",
      labels: { team: "search" },
      timeoutMs: 1_500,
      maxAttempts: 3,
      retryPolicy: { initialBackoffMs: 1_500, maxBackoffMs: 2, backoffMultiplier: 1.5, jitter: 0 },
      runAt: new Date(T0),
      deadlineAt: new Date(T0 + 1_000),
      retentionMs: 2_500,
    });
    const { kind, params, requestId, labels, timeout, maxAttempts, retryPolicy, runAt, deadlineAt, retention } =
      sent[0]!;
    assert.deepEqual([kind, requestId, maxAttempts], ["echo", "mine", 3]);
    assert.deepEqual(params, { n: 1, deep: [null, { ü: "\u0000" }] });
    assert.deepEqual({ ...labels }, { team: "search" });
    assert.deepEqual([timeout?.seconds, timeout?.nanos], [1n, 500_000_000]);
    assert.deepEqual([retryPolicy?.backoffMultiplier, retryPolicy?.jitter], [1.5, 0]);
    const { initialBackoff, maxBackoff } = retryPolicy!;
    assert.deepEqual([initialBackoff?.seconds, initialBackoff?.nanos, maxBackoff?.nanos], [1n, 500_000_000, 2_000_000]);
    const second = BigInt(Math.floor(T0 / 1_000));
    assert.deepEqual([runAt?.seconds, deadlineAt?.seconds], [second, second + 1n]);
    assert.deepEqual([retention?.seconds, retention?.nanos], [2n, 500_000_000]);
  });

  it("omits fields that are not given", async () => {
    const { sent } = await starting({ kind: "echo", retryPolicy: { jitter: 1, maxBackoffMs: undefined } });
    const { retryPolicy, timeout, maxAttempts, runAt, deadlineAt, retention } = sent[0]!;
    const { initialBackoff, maxBackoff, backoffMultiplier, jitter } = retryPolicy!;
    assert.deepEqual([initialBackoff, maxBackoff, backoffMultiplier, jitter], [undefined, undefined, 0, 1]);
    assert.deepEqual(
      [timeout, maxAttempts, runAt, deadlineAt, retention],
      [undefined, 0, undefined, undefined, undefined],
    );
    assert.equal((await starting({ kind: "echo" })).sent[0]!.retryPolicy, undefined);
  });

  it("repeats its call with one generated request id until it gets an answer", async () => {
    const { sent, started } = await starting({ kind: "echo" }, { unavailable: 2 });
    assert.equal(sent.length, 3);
    assert.match(sent[0]!.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(new Set(sent.map(({ requestId }) => requestId)).size, 1);
    assert.equal(started.task.taskId, TASK_ID);
    assert.equal(started.alreadyStarted, false);
  });

  it("replaces an empty request id by a generated one", async () => {
    const { sent } = await starting({ kind: "echo", requestId: "" });
    assert.match(sent[0]!.requestId, /^[0-9a-f-]{36}$/);
  });

  it("generates another request id for another start", async () => {
    const [first, second] = [await starting({ kind: "echo" }), await starting({ kind: "echo" })];
    assert.notEqual(first.sent[0]!.requestId, second.sent[0]!.requestId);
  });

  it("stops retrying after retryMs", async () => {
    await assert.rejects(starting({ kind: "echo" }, { unavailable: 1_000, retryMs: 300 }), { code: "UNAVAILABLE" });
  });

  it("does not retry a rejected call", async () => {
    let asked = 0;
    const refusal = failure("INVALID_ARGUMENT", "no", { reason: "KIND_UNKNOWN" });
    await using server = await serveScript({
      startTask: (_, { attempt }) => {
        asked = attempt;
        throw refusal;
      },
    });
    using client = connect({ address: server.address });
    await assert.rejects(client.start({ kind: "nope" }), { reason: "KIND_UNKNOWN" });
    assert.equal(asked, 1);
  });

  const deep = (levels: number): StartRequest["params"] => (levels === 0 ? {} : { a: deep(levels - 1)! });
  const refused: [string, Partial<StartRequest>, string][] = [
    ["an unpaired surrogate in the params", { params: { a: ["x", "\ud800"] } }, "params.a[1]"],
    ["an unpaired surrogate in a key of the params", { params: { "\udc00": 1 } }, "params.\udc00"],
    ["a number that JSON cannot express", { params: { a: Number.NaN } }, "params.a"],
    ["params that are not an object", { params: [] as unknown as Record<string, never> }, "params"],
    ["params that nest too deep", { params: deep(JSON_DEPTH_MAX) }, `params${".a".repeat(JSON_DEPTH_MAX)}`],
    ["params that are too large", { params: { a: "x".repeat(PARAMS_WIRE_BYTES_MAX) } }, "params"],
    ["an unpaired surrogate in the kind", { kind: "\ud800" }, "kind"],
    ["an unpaired surrogate in the request id", { requestId: "\ud800" }, "request_id"],
    ["an unpaired surrogate in a label", { labels: { a: "\ud800" } }, 'labels["a"]'],
    ["maxAttempts that is not an integer", { maxAttempts: 1.5 }, "max_attempts"],
    ["maxAttempts above 32 bits", { maxAttempts: 2 ** 31 }, "max_attempts"],
    ["an infinite timeout", { timeoutMs: Infinity }, "timeout"],
    ["an infinite initial backoff", { retryPolicy: { initialBackoffMs: Infinity } }, "retry_policy.initial_backoff"],
    ["a maximum backoff of NaN", { retryPolicy: { maxBackoffMs: NaN } }, "retry_policy.max_backoff"],
    ["a multiplier of 0", { retryPolicy: { backoffMultiplier: 0 } }, "retry_policy.backoff_multiplier"],
    ["an invalid runAt", { runAt: new Date(Number.NaN) }, "run_at"],
    ["a retentionMs that is not finite", { retentionMs: Infinity }, "retention"],
    ["an invalid deadlineAt", { deadlineAt: new Date(Number.NaN) }, "deadline_at"],
  ];
  for (const [what, request, field] of refused) {
    it(`rejects ${what} with the field's name and sends nothing`, async () => {
      await using server = await serveScript({});
      using client = connect({ address: server.address });
      await assert.rejects(client.start({ kind: "echo", ...request }), (error: SpoolRpcError) => {
        assert.equal(error.code, "INVALID_ARGUMENT");
        assert.equal(error.reason, "INVALID_ARGUMENT");
        assert.deepEqual(
          error.violations.map((violation) => violation.field),
          [field],
        );
        return true;
      });
      assert.deepEqual(server.calls, {});
    });
  }

  it("accepts params of the maximum depth", async () => {
    assert.equal((await starting({ kind: "echo", params: deep(JSON_DEPTH_MAX - 1) })).sent.length, 1);
  });
});

/** Starts a task at a server that is unavailable for a number of calls. */
async function starting(request: StartRequest, { unavailable = 0, retryMs = 10_000 } = {}) {
  const sent: StartTaskRequest[] = [];
  await using server = await serveScript({
    startTask: (message, { attempt }) => {
      sent.push(message);
      if (attempt <= unavailable) throw failure("UNAVAILABLE", "not yet", { reason: "STORE_UNAVAILABLE" });
      return { task: taskMessage() };
    },
  });
  using client = connect({ address: server.address, retryMs });
  return { started: await client.start(request), sent };
}
