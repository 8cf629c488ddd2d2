import assert from "node:assert/strict";
import { create, fromBinary, isMessage, toBinary, toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import {
  GetEventsResponseSchema,
  RunTaskResponseSchema,
  StreamEventsResponseSchema,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import { toGetEventsResponse, toRunTaskResponse, toStreamEventsResponse } from "../../../src/rpc/codec/tape-answers.ts";
import { toEventMessage } from "../../../src/codec/event.ts";
import { cutPage } from "../../../src/rpc/codec/frames.ts";
import { toStatusValue } from "../../../src/codec/status.ts";
import { encodeMessage } from "../../../src/rpc/codec/tape-message.ts";
import { seq, tapeEvent } from "../../codec/arbitrary-events.ts";
import { aLogEvent, aPage, TASK_ID } from "../fake-engine.ts";

const page = fc
  .record({
    events: fc.array(tapeEvent, { maxLength: 5 }),
    nextFromSeq: seq,
    lastSeq: seq,
    status: fc.constantFrom("pending" as const, "running" as const, "failed" as const),
    hasMore: fc.boolean(),
  })
  .map(({ events, ...fields }) => aPage(events, fields));

describe("a tape message", () => {
  it("is the same message for readers of its fields and of its bytes", () => {
    fc.assert(
      fc.property(page, ({ events, nextFromSeq, lastSeq, status, hasMore, ...rest }) => {
        const frame = cutPage({ events, nextFromSeq, lastSeq, status, hasMore, ...rest });
        const fields = { events: events.map(toEventMessage), nextFromSeq, lastSeq, status: toStatusValue(status) };
        const expected = create(StreamEventsResponseSchema, fields);

        const stream = toStreamEventsResponse(frame);
        assert.deepEqual(
          fromBinary(StreamEventsResponseSchema, encodeMessage(StreamEventsResponseSchema, stream)),
          expected,
        );
        assert.deepEqual({ ...stream }, { ...expected });

        const run = toRunTaskResponse(frame);
        const expectedRun = create(RunTaskResponseSchema, fields);
        assert.deepEqual(fromBinary(RunTaskResponseSchema, encodeMessage(RunTaskResponseSchema, run)), expectedRun);

        const get = toGetEventsResponse(frame);
        const expectedGet = create(GetEventsResponseSchema, { ...fields, taskId: TASK_ID, hasMore });
        assert.deepEqual(fromBinary(GetEventsResponseSchema, encodeMessage(GetEventsResponseSchema, get)), expectedGet);
      }),
    );
  });

  it("is encoded by protobuf-es, as JSON and as bytes, like any other message", () => {
    fc.assert(
      fc.property(page, (some) => {
        const frame = cutPage(some);
        const message = toStreamEventsResponse(frame);
        const plain = create(StreamEventsResponseSchema, { ...message, events: some.events.map(toEventMessage) });
        assert.ok(isMessage(message, StreamEventsResponseSchema));
        assert.deepEqual(toBinary(StreamEventsResponseSchema, message), toBinary(StreamEventsResponseSchema, plain));
        // The JSON of a timestamp begins with the year 1.
        assert.deepEqual(toJson(StreamEventsResponseSchema, message), toJson(StreamEventsResponseSchema, plain));
      }),
    );
  });

  it("creates no message of an event whose field is not read", () => {
    let reads = 0;
    const event = {
      ...aLogEvent(1),
      get body() {
        reads++;
        return aLogEvent(1).body;
      },
    };
    const message = toStreamEventsResponse(cutPage(aPage([event])));
    assert.equal(
      encodeMessage(StreamEventsResponseSchema, message),
      encodeMessage(StreamEventsResponseSchema, message),
    );
    assert.equal(reads, 1);
    assert.equal(message.events, message.events);
    assert.equal(reads, 2);
  });
});
