import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import type { TapeEvent } from "../../src/domain/event.ts";
import { StreamEventsResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { encodeEvents } from "../../src/codec/event-encoding.ts";
import { toEventMessage } from "../../src/codec/event.ts";
import { tapeEvent } from "./arbitrary-events.ts";
import { aLogEvent } from "../rpc/fake-engine.ts";

const tape = fc.array(tapeEvent, { maxLength: 8 });

/** The message as protobuf-es creates and encodes it. */
function messageOf(events: readonly TapeEvent[]) {
  return create(StreamEventsResponseSchema, { events: events.map(toEventMessage) });
}

describe("encodeEvents", () => {
  it("writes the same bytes as protobuf-es, which decode to the message", () => {
    fc.assert(
      fc.property(tape, (events) => {
        const { count, bytes } = encodeEvents(events, Infinity);
        const message = messageOf(events);
        assert.equal(count, events.length);
        assert.deepEqual(fromBinary(StreamEventsResponseSchema, bytes), message);
        assert.deepEqual(new Uint8Array(bytes), toBinary(StreamEventsResponseSchema, message));
      }),
      { numRuns: 500 },
    );
  });

  it("writes lengths of one, two, three and four bytes", () => {
    for (const length of [0, 100, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 3_000_000]) {
      for (const unit of ["x", "é"]) {
        const events = [aLogEvent(1, unit.repeat(length)), aLogEvent(2)];
        assert.deepEqual(
          fromBinary(StreamEventsResponseSchema, encodeEvents(events, Infinity).bytes),
          messageOf(events),
        );
      }
    }
  });

  it("writes nesting at the maximum depth and far beyond", () => {
    for (const depth of [32, 90]) {
      const body = `{"kind":"deep","payload":${'{"a":'.repeat(depth)}"${"x".repeat(200)}"${"}".repeat(depth)}}`;
      const events: TapeEvent[] = [{ seq: 1n, time: new Date(0), type: "partial", body }];
      const written = toBinary(StreamEventsResponseSchema, messageOf(events));
      assert.deepEqual(new Uint8Array(encodeEvents(events, Infinity).bytes), written);
    }
  });

  it("uses the last of two members with one name, like every JSON parser in the project", () => {
    const body = '{"kind":"twice", "payload" : {"a":1,"b":2,"a" : "\\u0041"}}';
    const events: TapeEvent[] = [{ seq: 1n, time: new Date(0), type: "partial", body }];
    assert.deepEqual(fromBinary(StreamEventsResponseSchema, encodeEvents(events, Infinity).bytes), messageOf(events));
  });

  it("stops before the event that would exceed the limit, and continues there", () => {
    fc.assert(
      fc.property(tape, fc.integer({ min: 1, max: 2_000 }), (events, bytesMax) => {
        const parts: Buffer[] = [];
        for (let given = 0; given < events.length;) {
          const { count, bytes } = encodeEvents(events.slice(given), bytesMax);
          assert.ok(count === 1 || bytes.length <= bytesMax);
          const oneMore = encodeEvents(events.slice(given, given + count + 1), Infinity);
          assert.ok(given + count === events.length || oneMore.bytes.length > bytesMax);
          parts.push(bytes);
          given += count;
        }
        assert.deepEqual(Buffer.concat(parts), encodeEvents(events, Infinity).bytes);
      }),
    );
  });

  it("writes an event of a later version's type with its position and without a body", () => {
    const event = { seq: 7n, time: new Date(0), type: "paused" as never, body: "{}" };
    const { events } = fromBinary(StreamEventsResponseSchema, encodeEvents([event], Infinity).bytes);
    assert.deepEqual(events, [toEventMessage(event)]);
    assert.deepEqual([events[0]!.seq, events[0]!.body], [7n, { case: undefined }]);
  });

  it("works after a body that could not be parsed", () => {
    const broken: TapeEvent = { seq: 2n, time: new Date(0), type: "log", body: '{"level":' };
    assert.throws(() => encodeEvents([aLogEvent(1), broken], Infinity), SyntaxError);
    const { bytes } = encodeEvents([aLogEvent(3)], Infinity);
    assert.deepEqual(fromBinary(StreamEventsResponseSchema, bytes), messageOf([aLogEvent(3)]));
  });
});

describe("an event message", () => {
  it("has the fields of the event's body", () => {
    fc.assert(
      fc.property(tapeEvent, (event) => {
        const message = toEventMessage(event);
        const stored = JSON.parse(event.body) as Record<string, unknown>;
        const { value } = message.body as { value: Record<string, unknown> };
        for (const member of ["kind", "phase", "message", "payload", "detail", "attempt"]) {
          assert.deepEqual(value[member], stored[member]);
        }
        assert.equal(message.body.case, event.type === "cancel_requested" ? "cancelRequested" : event.type);
      }),
    );
  });
});
