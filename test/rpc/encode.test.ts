import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { LOG_LEVELS } from "../../src/domain/event.ts";
import type { EventBodies, TapeEvent } from "../../src/domain/event.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { EventSchema } from "../../src/gen/spool/v1/event_pb.ts";
import {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../src/gen/spool/v1/task_service_pb.ts";
import { toEventMessage, toTaskMessage } from "../../src/rpc/convert.ts";
import { encoderOf, eventFieldBytes } from "../../src/rpc/encode.ts";
import { aLogEvent, aTask } from "./fake-engine.ts";

const text = fc.string({ unit: "binary", maxLength: 300 });
const jsonObject = fc
  .dictionary(
    fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toString")),
    fc.jsonValue({ stringUnit: "binary" }),
  )
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);
const count = fc.maxSafeNat();
const failure = fc.record(
  { reason: text, message: text, details: jsonObject },
  { requiredKeys: ["reason", "message"] },
);
const time = fc.date({ min: new Date(0), max: new Date("9999-01-01"), noInvalidDate: true });

const bodies: { [Type in keyof EventBodies]: fc.Arbitrary<EventBodies[Type]> } = {
  started: fc.record({ kind: text, attempt: fc.nat() }),
  progress: fc.record(
    { phase: text, current: count, total: count, detail: jsonObject },
    { requiredKeys: ["phase", "current", "total"] },
  ),
  log: fc.record({ level: fc.constantFrom(...LOG_LEVELS), message: text }),
  partial: fc.record({ kind: text, payload: jsonObject }),
  cancel_requested: fc.record({ reason: text }),
  retrying: fc.record({ error: failure, next_attempt_at: time.map((date) => date.toISOString()) }),
  final: fc.oneof(
    fc.record({ status: fc.constant("succeeded" as const), result: jsonObject }),
    fc.record({ status: fc.constantFrom("failed" as const, "cancelled" as const), error: failure }),
  ),
};

const seq = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
const tapeEvent: fc.Arbitrary<TapeEvent> = fc.oneof(
  ...Object.entries(bodies).map(([type, body]) =>
    fc.record({
      seq,
      time,
      type: fc.constant(type as TapeEvent["type"]),
      body: (body as fc.Arbitrary<object>).map((value) => JSON.stringify(value)),
    }),
  ),
);
const fields = fc.record({
  events: fc.array(tapeEvent.map(toEventMessage), { maxLength: 20 }),
  nextFromSeq: seq,
  lastSeq: seq,
  status: fc.constantFrom(1, 2, 3, 4, 5),
});

describe("a frame of events", () => {
  const encodeGet = encoderOf(GetEventsResponseSchema);
  const encodeStream = encoderOf(StreamEventsResponseSchema);
  const encodeRun = encoderOf(RunTaskResponseSchema);

  it("decodes to the message that it was made of", () => {
    fc.assert(
      fc.property(fields, text, fc.boolean(), (frame, taskId, flag) => {
        const page = create(GetEventsResponseSchema, { ...frame, taskId, hasMore: flag });
        assert.deepEqual(fromBinary(GetEventsResponseSchema, encodeGet(page)), page);
        const stream = create(StreamEventsResponseSchema, frame);
        assert.deepEqual(fromBinary(StreamEventsResponseSchema, encodeStream(stream)), stream);
        const task = toTaskMessage(aTask({ labels: { taskId } }));
        const run = create(RunTaskResponseSchema, { ...frame, task, alreadyStarted: flag });
        assert.deepEqual(fromBinary(RunTaskResponseSchema, encodeRun(run)), run);
        // The second time every event comes from the cache.
        assert.deepEqual(encodeGet(page), encodeGet(create(GetEventsResponseSchema, { ...page })));
      }),
    );
  });

  it("tells beforehand what an event will take", () => {
    fc.assert(
      fc.property(fields, (frame) => {
        const bare = encodeStream(create(StreamEventsResponseSchema, { ...frame, events: [] })).length;
        const events = frame.events.reduce((bytes, event) => bytes + eventFieldBytes(event), 0);
        assert.equal(encodeStream(create(StreamEventsResponseSchema, frame)).length, bare + events);
      }),
    );
  });

  it("holds lengths of one, two, three and four bytes", () => {
    for (const length of [0, 100, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 3_000_000]) {
      const event = toEventMessage(aLogEvent(1, "x".repeat(length)));
      const page = create(StreamEventsResponseSchema, { events: [event, event] });
      assert.deepEqual(fromBinary(StreamEventsResponseSchema, encodeStream(page)), page);
    }
  });

  it("encodes an event once, however many follow its tape", () => {
    let reads = 0;
    const { seq, body } = toEventMessage(aLogEvent(1));
    const event = Object.defineProperty(create(EventSchema, { seq }), "body", {
      enumerable: true,
      get() {
        reads++;
        return body;
      },
    });
    const frames = Array.from({ length: 500 }, () =>
      encodeStream(create(StreamEventsResponseSchema, { events: [event] })),
    );
    const readsOfOne = reads;
    encodeStream(create(StreamEventsResponseSchema, { events: [event] }));
    assert.equal(reads, readsOfOne);
    assert.ok(readsOfOne < 10, `read ${readsOfOne} times`);
    for (const frame of frames) assert.deepEqual(frame, frames[0]);
  });
});

describe("an event", () => {
  it("is converted once, and says what its body says", () => {
    fc.assert(
      fc.property(tapeEvent, (event) => {
        const message = toEventMessage(event);
        assert.equal(toEventMessage(event), message);
        const stored = JSON.parse(event.body) as Record<string, unknown>;
        const { value } = message.body as { value: Record<string, unknown> };
        for (const member of ["kind", "phase", "message", "payload", "detail", "attempt"]) {
          assert.deepEqual(value[member], stored[member]);
        }
        assert.equal(message.body.case, event.type === "cancel_requested" ? "cancelRequested" : event.type);
      }),
    );
  });

  it("of a type that a later version wrote keeps its place and has no body", () => {
    const message = toEventMessage({ seq: 7n, time: new Date(0), type: "paused" as never, body: "{}" });
    assert.deepEqual([message.seq, message.body], [7n, { case: undefined }]);
  });
});
