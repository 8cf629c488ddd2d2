import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { fromEventMessage } from "../../../src/codec/event.ts";
import { readTapeAnswer } from "../../../src/client/follow/tape-reader.ts";
import type { SpoolEvent } from "../../../src/client/types.ts";
import { EventSchema } from "../../../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../../../src/gen/spool/v1/task_pb.ts";
import { StreamEventsResponseSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { toEventMessage } from "../../../src/codec/event.ts";
import { tapeEvent } from "../../codec/arbitrary-events.ts";

const read = (bytes: Uint8Array) => readTapeAnswer(StreamEventsResponseSchema, Buffer.from(bytes));
const asMessage = (bytes: Uint8Array) => fromBinary(StreamEventsResponseSchema, bytes).events.map(fromEventMessage);

/** The decoded events, or that they were rejected. */
function outcome(reading: () => SpoolEvent[]): SpoolEvent[] | "refused" {
  try {
    return reading();
  } catch {
    return "refused";
  }
}

function delimited(field: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length, rest]), content]);
}

describe("the events that EventReader decodes", () => {
  it("are those of protobuf-es, for every type", () =>
    fc.assert(
      fc.property(fc.array(tapeEvent, { maxLength: 8 }), (events) => {
        const message = create(StreamEventsResponseSchema, {
          events: events.map(toEventMessage),
          nextFromSeq: 7n,
          lastSeq: 2n ** 60n,
          status: TaskStatus.RUNNING,
        });
        const bytes = toBinary(StreamEventsResponseSchema, message);
        const { message: rest, events: given } = read(bytes);
        assert.deepEqual(given, asMessage(bytes));
        assert.deepEqual(rest, { ...message, events: [] });
      }),
      { numRuns: 500 },
    ));

  it("are the same if fields are reordered, repeated or unknown", () => {
    const unknown = fc.constantFrom([0x78, 0x01], [0x7a, 0x02, 0x61, 0x62], [0x7d, 1, 2, 3, 4]).map(Buffer.from);
    const field = fc.oneof(
      unknown,
      tapeEvent.map((event) => toBinary(EventSchema, toEventMessage(event))),
      fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map((seq) => toBinary(EventSchema, create(EventSchema, { seq }))),
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("2200-01-01") }).map((time) => {
        const seconds = BigInt(Math.floor(time.getTime() / 1_000));
        return toBinary(EventSchema, create(EventSchema, { time: { seconds, nanos: 999_999_999 } }));
      }),
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 5 }), unknown, (fields, other) => {
        const event = delimited(1, Buffer.concat(fields));
        for (const bytes of [event, Buffer.concat([other, event]), Buffer.concat([event, other, event])]) {
          assert.deepEqual(
            outcome(() => read(bytes).events),
            outcome(() => asMessage(bytes)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it("are the same or rejected if any byte is changed or cut off", () =>
    fc.assert(
      fc.property(fc.array(tapeEvent, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255), (events, place, byte) => {
        const message = create(StreamEventsResponseSchema, { events: events.map(toEventMessage), lastSeq: 9n });
        const bytes = toBinary(StreamEventsResponseSchema, message);
        const at = place % bytes.length;
        const changed = bytes.with(at, byte);
        for (const broken of [changed, bytes.subarray(0, at)]) {
          const events = outcome(() => read(broken).events);
          // protobuf-es lets a field continue past the end of its message. EventReader ends an event at its length.
          if (events === "refused") continue;
          assert.deepEqual(
            events,
            outcome(() => asMessage(broken)),
          );
        }
      }),
      { numRuns: 2_000 },
    ));
});
