import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { DuplexCall, GrpcTransport } from "../../../src/client/transport/grpc-transport.ts";
import { WorkerAttempt } from "../../../src/client/worker/worker-attempt.ts";
import { WorkerStream } from "../../../src/client/worker/worker-stream.ts";
import { currentAttempt, withinAttempt } from "../../../src/telemetry/attempt-context.ts";

describe("the stream of a worker", () => {
  it("sends events outside of the context of the attempt that emitted them", async () => {
    const senders: unknown[] = [];
    const call: DuplexCall<never> = {
      answers: (async function* () {})(),
      send: () => senders.push(currentAttempt()) > 0,
      onRoom: () => {},
      end: () => {},
      giveUp: () => {},
    };
    const transport = { duplex: () => call } as unknown as GrpcTransport;
    const stream = WorkerStream.open(transport, {}, { signal: new AbortController().signal });
    const ref = { taskId: crypto.randomUUID(), kind: "echo", attempt: 1 };
    const window = { events: 10, bytes: 1_000 };
    const attempt = new WorkerAttempt({ ...ref, window, onUnsent: (unsent) => stream.onUnsent(unsent) });
    await withinAttempt(ref, async () => {
      await attempt.emit("log", { level: "INFO", message: "one" });
      await attempt.emit("log", { level: "INFO", message: "two" });
      assert.deepEqual(currentAttempt(), ref);
    });
    await setImmediate();
    assert.deepEqual(senders, [null, null], "the hello, and one message with both events");
  });
});
