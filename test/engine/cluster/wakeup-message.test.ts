import assert from "node:assert/strict";
import fc from "fast-check";
import { TASK_STATUSES } from "../../../src/domain/task.ts";
import { decodeWakeups, encodeProbe, encodeWakeups, isProbe } from "../../../src/engine/cluster/wakeup-message.ts";

const SENDER = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";

const state = fc.record(
  {
    taskId: fc.uuid(),
    status: fc.constantFrom(...TASK_STATUSES, "removed" as const),
    lastSeq: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  },
  { noNullPrototype: true },
);

describe("the codec of wakeups", () => {
  it("decodes the states that it has encoded, in payloads within the bound", () => {
    fc.assert(
      fc.property(fc.array(state), fc.integer({ min: 100, max: 1_000 }), (states, bytesMax) => {
        const payloads = encodeWakeups({ sender: SENDER, states }, bytesMax);
        assert.ok(payloads.every((payload) => Buffer.byteLength(payload) <= bytesMax));
        const read = payloads.map(decodeWakeups);
        assert.ok(read.every(({ sender }) => sender === SENDER));
        assert.deepEqual(
          read.flatMap((message) => message.states),
          states,
        );
      }),
    );
  });

  it("skips items of another form, one by one", () => {
    const [payload] = encodeWakeups(
      { sender: SENDER, states: [{ taskId: SENDER, status: "running", lastSeq: 7n }] },
      100,
    );
    const { states } = decodeWakeups(`${payload}:nonsense::${"A".repeat(22)}87`);
    assert.deepEqual(states, [{ taskId: SENDER, status: "running", lastSeq: 7n }]);
    fc.assert(fc.property(fc.string(), (text) => decodeWakeups(text).states.length <= text.length));
  });

  it("distinguishes a probe, in which an unaware decoder finds no task", () => {
    const probe = encodeProbe(SENDER);
    assert.deepEqual([isProbe(probe), isProbe(SENDER)], [true, false]);
    assert.deepEqual(decodeWakeups(probe).states, []);
  });
});
