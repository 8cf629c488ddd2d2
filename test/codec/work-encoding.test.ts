import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { encodeAppend, encodeNewEvent } from "../../src/codec/work-encoding.ts";
import { LOG_LEVELS } from "../../src/domain/event.ts";
import { LogLevel } from "../../src/gen/spool/v1/event_pb.ts";
import { NewEventSchema, WorkRequestSchema } from "../../src/gen/spool/v1/worker_service_pb.ts";

const TASK = { taskId: "018f3a5c-7b1e-7c3d-9a2b-0123456789ab", attempt: 3 };
const text = fc.string({ unit: "binary" });
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });

const progress = fc
  .record({ phase: text.filter((phase) => phase !== ""), current: count, total: count })
  .map((body) => {
    const value = { ...body, current: BigInt(body.current), total: BigInt(body.total) };
    return { bytes: encodeNewEvent("progress", body), message: { body: { case: "progress", value } } as const };
  });
const log = fc.record({ level: fc.constantFrom(...LOG_LEVELS), message: text }).map((body) => {
  const value = { level: LogLevel[body.level], message: body.message };
  return { bytes: encodeNewEvent("log", body), message: { body: { case: "log", value } } as const };
});
const partial = fc.record({ kind: text, payload: fc.record({ n: fc.integer(), text }) }).map((value) => {
  return { bytes: encodeNewEvent("partial", value), message: { body: { case: "partial", value } } as const };
});

describe("an encoded message of a worker", () => {
  it("equals the encoding of protobuf-es", () => {
    fc.assert(
      fc.property(fc.oneof(progress, log, partial), ({ bytes, message }) => {
        assert.deepEqual(Buffer.from(bytes), Buffer.from(toBinary(NewEventSchema, create(NewEventSchema, message))));
      }),
    );
  });

  it("joins encoded events to an append with their numbers", () => {
    const event = fc.oneof(progress, log, partial);
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), fc.bigInt({ min: 1n, max: 2n ** 62n }), (events, firstNumber) => {
        const bytes = encodeAppend(
          TASK,
          firstNumber,
          events.map((encoded) => encoded.bytes),
        );
        const value = { ...TASK, firstNumber, events: events.map((encoded) => encoded.message) };
        const wanted = create(WorkRequestSchema, { message: { case: "append", value } });
        assert.deepEqual(bytes, Buffer.from(toBinary(WorkRequestSchema, wanted)));
      }),
    );
  });

  it("includes a detail, and does not change after its creation", () => {
    const detail = { list: [1, "two"] };
    const bytes = encodeNewEvent("progress", { phase: "p", current: 1, total: 2, detail });
    detail.list.push(3);
    const { body } = fromBinary(NewEventSchema, bytes);
    assert.ok(body.case === "progress");
    assert.deepEqual(body.value.detail, { list: [1, "two"] });
  });
});
