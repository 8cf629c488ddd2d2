import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { APPEND_EVENTS_MAX, WORK_ENTRIES_MAX } from "../../../src/domain/limits.ts";
import { WorkRequestSchema } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import type { NewEventSchema } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { decodeWork, refusalOf } from "../../../src/rpc/validation/decode-work.ts";
import { TASK_ID } from "../fake-engine.ts";

type EventInit = MessageInitShape<typeof NewEventSchema>;

function encode(message: MessageInitShape<typeof WorkRequestSchema>["message"]): Buffer {
  return Buffer.from(toBinary(WorkRequestSchema, create(WorkRequestSchema, { message: message! })));
}

function append(events: EventInit[]): Buffer {
  return encode({ case: "append", value: { taskId: TASK_ID, attempt: 2, firstNumber: 7n, events } });
}

/** An event with a number of values. */
function partial(values: number): EventInit {
  const payload = { a: Array.from({ length: values }, () => null) };
  return { body: { case: "partial", value: { kind: "k", payload } } };
}

describe("a message of a worker", () => {
  it("is decoded the same in parts as at once, for any size", async () => {
    for (const bytes of [
      append([partial(1)]),
      append(Array.from({ length: APPEND_EVENTS_MAX }, () => partial(100))),
      append([partial(WORK_ENTRIES_MAX - 10)]),
      encode({
        case: "finish",
        value: { taskId: TASK_ID, outcome: { case: "result", value: { text: "x".repeat(1_000_000) } } },
      }),
      encode({ case: "heartbeat", value: {} }),
    ]) {
      const decoded = await decodeWork(bytes);
      assert.ok(equals(WorkRequestSchema, decoded, fromBinary(WorkRequestSchema, bytes)));
      assert.equal(refusalOf(decoded), undefined);
    }
  });

  it("lets other work run while it is decoded, if it is large", async () => {
    const bytes = append(Array.from({ length: APPEND_EVENTS_MAX }, () => partial(100)));
    let turns = 0;
    let isDone = false;
    const others = (async () => {
      while (!isDone) {
        await setImmediate();
        turns++;
      }
    })();
    await decodeWork(bytes);
    isDone = true;
    await others;
    assert.ok(turns > 5, `${turns} turns`);
  });

  it("is rejected, with its attempt, if an event or result has too many entries", async () => {
    const large = append([partial(1), partial(WORK_ENTRIES_MAX + 1)]);
    const result = { a: Array.from({ length: WORK_ENTRIES_MAX + 1 }, () => null) };
    const finish = encode({
      case: "finish",
      value: { taskId: TASK_ID, attempt: 2, number: 7n, outcome: { case: "result", value: result } },
    });
    for (const bytes of [large, finish]) {
      const decoded = await decodeWork(bytes);
      assert.equal(refusalOf(decoded)?.reason, "INVALID_ARGUMENT");
      const { taskId, attempt } = decoded.message.value as { taskId: string; attempt: number };
      assert.deepEqual([taskId, attempt], [TASK_ID, 2]);
    }
  });

  it("has at most one event decoded past the limit", async () => {
    const events = Array.from({ length: 50_000 }, (): EventInit => ({ body: { case: undefined } }));
    const { message } = await decodeWork(append(events));
    assert.equal(message.case === "append" && message.value.events.length, APPEND_EVENTS_MAX + 1);
  });

  it("is rejected if its bytes are malformed", async () => {
    await assert.rejects(decodeWork(Buffer.alloc(40_000, 0xff)), /must be a spool\.v1\.WorkRequest/);
  });
});
